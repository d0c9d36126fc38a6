//go:build !linux

package main

import "errors"

// evictFolder has the system forget what it has cached of a folder's files.
func evictFolder(string) error {
	return errors.New("a folder's files cannot be dropped from the system's cache here: run on Linux")
}
