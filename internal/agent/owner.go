package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// serviceUser is whom the packaged agent runs as.
const serviceUser = "edgeraft"

// actAsOwner lets root go on as serviceUser, for good, where the data directory
// is that user's: what root wrote there, or beside the key, the packaged agent
// could not use. The directory of the socket, unless "", is made before that.
func actAsOwner(dataDir, socketDir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at the data directory: %w", err)
	}
	u, err := user.Lookup(serviceUser)
	if err != nil {
		return nil // no such user: nothing was installed as a package
	}
	uid, err1 := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	stat, ok := info.Sys().(*syscall.Stat_t)
	if err1 != nil || err2 != nil || !ok || int(stat.Uid) != uid || uid == 0 {
		return nil
	}
	if _, err := os.Stat(socketDir); socketDir != "" && errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(socketDir, 0o755); err != nil {
			return fmt.Errorf("make the directory of the socket: %w", err)
		}
		if err := os.Chown(socketDir, uid, gid); err != nil {
			return fmt.Errorf("give the directory of the socket to %s: %w", serviceUser, err)
		}
	}
	for _, err := range []error{syscall.Setgroups([]int{gid}), syscall.Setgid(gid), syscall.Setuid(uid)} {
		if err != nil {
			return fmt.Errorf("go on as the user %s, whose data directory it is: %w", serviceUser, err)
		}
	}
	return nil
}
