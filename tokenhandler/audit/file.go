package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// File is the file of a trail. It is opened anew when it was moved or removed, so that
// programs that rotate files need not tell.
type File struct {
	path string
	file *os.File // nil after an error
}

// OpenFile opens a file to append records to. Only its owner can read a file that did not
// exist.
func OpenFile(path string) (*File, error) {
	f := &File{path: path}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

// CheckFile reports why [OpenFile] would fail. It neither makes nor changes the file.
func CheckFile(path string) error {
	file, err := os.OpenFile(path, os.O_APPEND|os.O_RDWR, 0) //nolint:gosec // the operator names the file
	if errors.Is(err, os.ErrNotExist) {
		err = checkFolder(filepath.Dir(path))
	} else if err == nil {
		err = file.Close()
	}
	if err != nil {
		return fmt.Errorf("opening the audit file: %w", err)
	}
	return nil
}

func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("opening the audit file: %w", err)
	}
	if err := endLine(file); err != nil {
		_ = file.Close()
		return err
	}
	f.file = file
	return nil
}

// endLine ends the part of a line that a process left which was killed while the disk was
// full.
func endLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("looking at the audit file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil
	}
	var last [1]byte
	if _, err := file.ReadAt(last[:], info.Size()-1); err != nil {
		return fmt.Errorf("reading the audit file: %w", err)
	}
	if last[0] == '\n' {
		return nil
	}
	if _, err := file.WriteString("\n"); err != nil {
		return fmt.Errorf("writing the audit file: %w", err)
	}
	return nil
}

// Write implements [io.Writer].
func (f *File) Write(line []byte) (int, error) {
	if f.moved() {
		_ = f.file.Close()
		f.file = nil
	}
	if f.file == nil {
		if err := f.open(); err != nil {
			return 0, err
		}
	}
	return f.file.Write(line)
}

// moved reports whether the path no longer leads to the file that is open.
func (f *File) moved() bool {
	if f.file == nil {
		return false
	}
	now, err := os.Stat(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	opened, openedErr := f.file.Stat()
	return err == nil && openedErr == nil && !os.SameFile(now, opened)
}
