package spa

import (
	"bytes"
	"cmp"
	"io"
	"io/fs"
	"path"
	"slices"
)

// MaxPolicy is the length in bytes from which a policy is shortened. Proxies limit the head of
// a response: nginx takes 4,096 bytes by default (proxy_buffer_size), and answers 502 for more.
const MaxPolicy = 3 << 10

// maxLooked is how many bytes of HTML [TooLong] reads, so that it takes less than a second.
const maxLooked = 64 << 20

// LongPolicy is a Content-Security-Policy that is longer than some proxies accept.
type LongPolicy struct {
	// File is the name of the HTML file that needs it. It is empty if all files have it.
	File string
	// Needed and Sent are its length in bytes. It is sent with less than it needs if it
	// allows all attributes style in the place of their hashes.
	Needed, Sent int
}

// TooLong returns the policies of an app that are longer than some proxies accept, before
// anybody has asked for a page, the longest first. Those of single files are left out if that of all files is
// one of them. Of cfg it reads the directory and what makes the policy. It says nothing about
// files that cannot be read, nor about what [New] refuses.
func TooLong(cfg Config) []LongPolicy {
	base, err := cfg.basePolicy()
	if err != nil {
		return nil
	}
	if n := len(base.String()); n > MaxPolicy {
		return []LongPolicy{{Needed: n, Sent: n}}
	}
	if cfg.ContentSecurityPolicy != "" {
		return nil
	}
	root, err := open(cfg.Dir)
	if err != nil {
		return nil
	}
	defer func() { _ = root.Close() }()
	long := longPages(root.FS(), base)
	slices.SortStableFunc(long, func(a, b LongPolicy) int { return cmp.Compare(b.Sent, a.Sent) })
	return long
}

// longPages returns the policies of HTML files that are too long.
func longPages(files fs.FS, base policy) (long []LongPolicy) {
	looked := int64(0)
	_ = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil //nolint:nilerr // a folder that cannot be read has no page
		case entry.IsDir() && name != "." && hidden(name):
			return fs.SkipDir
		case path.Ext(name) != ".html":
			return nil
		}
		content := readPage(files, name)
		if looked += int64(len(content)); looked > maxLooked {
			return fs.SkipAll
		}
		text, needed := base.forPage(content, bytes.Contains(content, []byte(Placeholder)))
		if needed > MaxPolicy {
			long = append(long, LongPolicy{File: name, Needed: needed, Sent: len(text)})
		}
		return nil
	})
	return long
}

// readPage returns the content of an HTML file, or nothing if it is not served with a policy
// of its own.
func readPage(files fs.FS, name string) []byte {
	file, info, err := regular(files, name)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if info.Size() > maxTaggedSize {
		return nil
	}
	content, err := io.ReadAll(io.LimitReader(file, maxTaggedSize)) //nolint:forbidigo // bounded
	if err != nil {
		return nil
	}
	return content
}
