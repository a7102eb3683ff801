//go:build unix

package doctor

import "syscall"

// openFiles returns how many files this process may open. The Go runtime has raised that to
// the hard limit.
func openFiles() (limit uint64, known bool) {
	var r syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r) != nil {
		return 0, false
	}
	return uint64(r.Cur), true //nolint:unconvert // it is an int64 on some systems
}
