package spa

import (
	"io/fs"
	"syscall"
)

// versionOf returns the version of an opened file.
func versionOf(info fs.FileInfo) (version, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return version{}, false
	}
	return version{
		device: stat.Dev, inode: stat.Ino, size: stat.Size, modified: stat.Mtim.Nano(), changed: stat.Ctim.Nano(),
	}, true
}
