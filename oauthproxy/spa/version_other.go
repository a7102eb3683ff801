//go:build !linux

package spa

import "io/fs"

// versionOf knows no version on other systems: tags are not cached there.
func versionOf(fs.FileInfo) (version, bool) { return version{}, false }
