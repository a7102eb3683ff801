//go:build unix

package audit

import (
	"fmt"
	"syscall"
)

// The rights to write and to search (POSIX.1-2024, access()).
const writeAndSearch = 0b011

// checkFolder reports why this user could make no file in a folder.
func checkFolder(folder string) error {
	if err := syscall.Access(folder+"/.", writeAndSearch); err != nil {
		return fmt.Errorf("making it in %s: %w", folder, err)
	}
	return nil
}
