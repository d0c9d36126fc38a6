//go:build unix

package measure

import (
	"os"
	"syscall"
)

// blocks is what a file occupies; st_blocks counts in 512 bytes everywhere.
func blocks(info os.FileInfo) int64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * 512
	}
	return info.Size()
}
