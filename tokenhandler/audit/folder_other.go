//go:build !unix

package audit

import "os"

// checkFolder reports why there could be no file in a folder. The rights in it are not
// known.
func checkFolder(folder string) error {
	_, err := os.Stat(folder + string(os.PathSeparator) + ".")
	return err
}
