package audit_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cognito-token-handler/tokenhandler/audit"
)

// TestCheckFile: nothing is made or changed.
func TestCheckFile(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "audit.log")
	if err := audit.CheckFile(path); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	if err := os.WriteFile(path, []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := audit.CheckFile(path); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "part" {
		t.Errorf("the file has %q, %v", content, err)
	}
	for _, wrong := range []string{folder, filepath.Join(folder, "none", "audit.log"), filepath.Join(path, "audit.log")} {
		if err := audit.CheckFile(wrong); err == nil {
			t.Errorf("%s could be written", wrong)
		}
	}
}

// TestFileThatCannotBeOpened: the error names the cause, and the next record tries again. While
// nobody can tell whether the file was moved, records go on into the one that is open.
func TestFileThatCannotBeOpened(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "folder")
	path := filepath.Join(folder, "audit.log")
	if file, err := audit.OpenFile(path); file != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its folder: %v, %v", file, err)
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	do(os.Mkdir(folder, 0o700))
	file, err := audit.OpenFile(path)
	do(err)
	do(os.Rename(folder, folder+".1"))
	do(os.WriteFile(folder, nil, 0o600)) // so that the path leads nowhere
	_, err = file.Write([]byte("one\n"))
	do(err)
	do(os.Remove(folder))
	if n, err := file.Write([]byte("two\n")); n != 0 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without the folder: %d, %v", n, err)
	}
	do(os.Mkdir(folder, 0o700))
	_, err = file.Write([]byte("two\n"))
	do(err)
	for name, want := range map[string]string{folder + ".1/audit.log": "one\n", path: "two\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
}

// TestFilesAreClosed: neither a check nor a rotation leaves one open.
func TestFilesAreClosed(t *testing.T) {
	const many = 40
	opened := func() int {
		t.Helper()
		open, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	path := filepath.Join(t.TempDir(), "audit.log")
	file, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before := opened()
	for range many {
		if err := audit.CheckFile(path); err != nil {
			t.Fatal(err)
		}
	}
	checked := opened()
	for range many {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write([]byte("line\n")); err != nil {
			t.Fatal(err)
		}
	}
	if rotated := opened(); checked-before > many/2 || rotated-checked > many/2 {
		t.Errorf("%d files are open, after %d checks %d, after as many rotations %d", before, many, checked, rotated)
	}
}

// TestFile: a program that rotates files moves them, and a process that was killed while
// the disk was full leaves a part of a line.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	if err := os.WriteFile(path, []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := audit.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(line string) {
		t.Helper()
		if _, err := file.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	write("one\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("two\n")
	for name, want := range map[string]string{path + ".1": "part\none\n", path: "two\n"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s has %q, %v", filepath.Base(name), got, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file has the mode %v, %v", info.Mode(), err)
	}
	if again, err := audit.OpenFile(path); err != nil {
		t.Error(err)
	} else if _, err := again.Write([]byte("three\n")); err != nil {
		t.Error(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "two\nthree\n" {
		t.Errorf("opened a second time, the file has %q, %v", got, err)
	}
	device, err := audit.OpenFile("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := device.Write([]byte("three\n")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("on a full disk: %d, %v", n, err)
	}
}
