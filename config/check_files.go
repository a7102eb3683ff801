package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// namedFile is a file with secrets, and the key that names it.
type namedFile struct{ key, path string }

// secretFiles returns the files with secrets: those that keys name, and the
// configuration itself if it has a secret.
func (l *loader) secretFiles(table []option) (files []namedFile) {
	inline := ""
	for _, o := range table {
		s, ok := l.set[o.key]
		switch {
		case !ok || !l.valid(o.key):
		case o.fileFor != "" || o.key == keyFile:
			files = append(files, namedFile{o.key, s.node.Value})
		case inline == "" && s.env == "" && slices.ContainsFunc(table, func(file option) bool { return file.fileFor == o.key }):
			inline = o.key
		}
	}
	if inline != "" {
		files = append(files, namedFile{inline, l.fileName})
	}
	return files
}

// checkSecretFiles warns of files with secrets that other users of the machine can
// read or change. A container has no other users, and Kubernetes mounts secrets as
// readable.
func (l *loader) checkSecretFiles(files []namedFile, m Machine) {
	for _, f := range files {
		if mode, exposed := exposure(f.path); exposed && !m.Container {
			l.warn(f.key, fmt.Sprintf("is in the file %s with the mode %04o, so other users of this machine can read or change it", quote(f.path), mode), "give it the mode 0600: chmod 600")
		}
	}
}

// exposure returns the mode of a file, and whether users outside its group can read
// or change it. They cannot if they may not enter one of its directories.
func exposure(path string) (mode fs.FileMode, exposed bool) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o006 == 0 {
		return 0, false
	}
	path = absolute(path)
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		if folder, err := os.Stat(dir); err != nil || folder.Mode().Perm()&0o001 == 0 {
			return 0, false
		}
		if dir == filepath.Dir(dir) {
			return info.Mode().Perm(), true
		}
	}
}

// absolute returns the real path of a file, or what is known of it.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		path = full
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	return path
}

// checkServedFiles refuses an app's directory that contains a file with secrets, or
// the configuration: the service would send it to everybody.
func (l *loader) checkServedFiles(dir string, files []namedFile) {
	if dir == "" {
		return
	}
	root := strings.TrimSuffix(absolute(dir), "/") + "/"
	for _, f := range append(files, namedFile{"the configuration", l.fileName}) {
		if _, err := os.Stat(f.path); err == nil && strings.HasPrefix(absolute(f.path), root) {
			l.fault("spa.dir", "contains "+quote(f.path)+" ("+f.key+"), which would be sent to everybody", "put that file elsewhere, or write the directory of the built app")
			return
		}
	}
}
