package discovery

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

const (
	// The kernel's groups of news on links and addresses (rtnetlink(7)).
	groupLink, groupIPv4, groupIPv6 = 1, 0x10, 0x100
	// watchPause is the least time between two signals: an interface that comes
	// and goes must not cost more than that.
	watchPause = 200 * time.Millisecond
	// watchBuffer holds one message; what it says is not looked at.
	watchBuffer = 8 << 10
)

// Watch signals, until ctx ends, that an interface or an address of this device
// has come or gone, at most five times a second. A kernel that does not tell is
// no error: then nothing ever comes, and who needs to know must look.
func Watch(ctx context.Context) <-chan struct{} {
	changed := make(chan struct{}, 1)
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, syscall.NETLINK_ROUTE)
	if err != nil {
		return changed
	}
	file := os.NewFile(uintptr(fd), "netlink")
	if err := syscall.Bind(fd, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK, Groups: groupLink | groupIPv4 | groupIPv6}); err != nil {
		file.Close()
		return changed
	}
	stop := context.AfterFunc(ctx, func() { file.Close() })
	go func() {
		defer stop()
		defer file.Close()
		pause := time.NewTimer(0)
		defer pause.Stop()
		for buf := make([]byte, watchBuffer); ; {
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			// What was missed for want of room is news, too.
			if _, err := file.Read(buf); err != nil && !errors.Is(err, syscall.ENOBUFS) {
				return
			}
			select {
			case changed <- struct{}{}:
			default: // nobody has looked since the last one
			}
			pause.Reset(watchPause)
		}
	}()
	return changed
}
