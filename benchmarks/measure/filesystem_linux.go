package measure

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Filesystem names the file system that holds a folder. It matters to anything
// that fsyncs: on tmpfs that costs nothing and keeps nothing.
func Filesystem(dir string) (string, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "", fmt.Errorf("file system of the data folder: %w", err)
	}
	switch int64(s.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4", nil // ext2 and ext3 too
	case unix.XFS_SUPER_MAGIC:
		return "xfs", nil
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs", nil
	case unix.TMPFS_MAGIC:
		return "tmpfs", nil
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlayfs", nil
	case unix.NFS_SUPER_MAGIC:
		return "nfs", nil
	}
	return fmt.Sprintf("0x%x", uint32(s.Type)), nil
}
