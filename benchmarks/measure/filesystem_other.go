//go:build !linux

package measure

// Filesystem names the file system that holds a folder; "" when unknown.
func Filesystem(string) (string, error) { return "", nil }
