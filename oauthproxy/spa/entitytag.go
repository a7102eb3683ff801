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
	// maxTags bounds the number of cached tags. An app has fewer files that need one.
	maxTags = 4096
	// settleTime is the age of a file's last change from which its tag is cached. A file
	// system's clock can be coarse: a file that is changed twice in quick succession
	// may not show the second change.
	settleTime = 2 * time.Second
)

// tagCache caches the entity tags of file versions, so that a file is read and hashed
// once and not for every request.
type tagCache struct {
	now func() time.Time

	mu   sync.Mutex
	tags map[version]string
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

// tag returns the entity tag of content, which info describes. It is a hash of the
// content: the modification time does not distinguish an app from its successor,
// because a rollback has an older one, and images are built with the same time for
// every file.
func (c *tagCache) tag(content io.ReadSeeker, info fs.FileInfo) (string, error) {
	v, known := versionOf(info)
	if known {
		c.mu.Lock()
		tag, cached := c.tags[v]
		c.mu.Unlock()
		if cached {
			return tag, nil
		}
	}
	tag, err := entityTag(content)
	if err == nil && known && c.now().Sub(time.Unix(0, v.changed)) > settleTime {
		c.store(v, tag)
	}
	return tag, err
}

func (c *tagCache) store(v version, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tags == nil || len(c.tags) >= maxTags {
		c.tags = make(map[version]string)
	}
	c.tags[v] = tag
}

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
