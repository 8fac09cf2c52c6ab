package boltlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// noCopyOnWrite has a new file, which is empty yet, written in place also where
// the file system else puts each block that is written again in another place, as
// btrfs does: there a save would need room, and on a full disk fail, votes
// included. What is gone with it is the file system's checksum; all that is
// acknowledged has one of ours. Where it is not possible nothing changes.
func noCopyOnWrite(f *os.File) {
	const flag = 0x00800000 // FS_NOCOW_FL of linux/fs.h
	fd := int(f.Fd())
	var system unix.Statfs_t
	if unix.Fstatfs(fd, &system) != nil || uint32(system.Type) != unix.BTRFS_SUPER_MAGIC {
		return
	}
	if flags, err := unix.IoctlGetInt(fd, unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, flags|flag)
	}
}
