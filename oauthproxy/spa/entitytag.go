package spa

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

const (
	// maxTaggedSize is the size in bytes of the largest file that gets an ETag.
	maxTaggedSize = 1 << 20
	// maxTags bounds the number of versions in a cache. An app has fewer files that need one.
	maxTags = 4096
	// settleTime is the age of a file's last change from which it is cached. A file
	// system's clock can be coarse: a file that is changed twice in quick succession
	// may not show the second change.
	settleTime = 2 * time.Second
)

// versions caches what was found out about versions of files, so that a file is read once
// and not for every request.
type versions[T any] struct {
	now func() time.Time

	mu    sync.Mutex
	known map[version]T
}

// version identifies the content of a file. The time of its last change of status is
// part of it, because no program can set that: the modification time, the size and
// even the inode number of a file can be those of the file that it has replaced.
type version struct {
	device, inode uint64
	size          int64
	modified      int64 // nanoseconds since 1970
	changed       int64 // nanoseconds since 1970: ctime (inode(7))
}

// get returns what find returns for the file that info describes.
func (c *versions[T]) get(info fs.FileInfo, find func() (T, error)) (T, error) {
	v, known := versionOf(info)
	if known {
		c.mu.Lock()
		value, cached := c.known[v]
		c.mu.Unlock()
		if cached {
			return value, nil
		}
	}
	value, err := find()
	if err == nil && known && c.now().Sub(time.Unix(0, v.changed)) > settleTime {
		c.store(v, value)
	}
	return value, err
}

func (c *versions[T]) store(v version, value T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil || len(c.known) >= maxTags {
		c.known = make(map[version]T)
	}
	c.known[v] = value
}

// entityTag returns the entity tag of content. It is a hash of the content: the
// modification time does not distinguish an app from its successor, because a rollback
// has an older one, and images are built with the same time for every file.
func entityTag(content io.ReadSeeker) (string, error) {
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", fmt.Errorf("hashing file: %w", err)
	}
	if _, err := content.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("hashing file: %w", err)
	}
	return `"` + hex.EncodeToString(hash.Sum(nil)[:16]) + `"`, nil
}
