package udpcomms

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// quietSocket is a UDP socket that wakes the process for what arrives, and for
// nothing else. A net.UDPConn has the kernel report each time that something sent
// has left, as its poller waits for room to send on every socket, and each of its
// system calls wakes the runtime's monitor thread, in case it should block. On an
// idle device, where all that happens is a few datagrams a second, that is half of
// all wake-ups and of the processor time.
//
// So the Go poller is given not the socket but an epoll instance that waits for
// it to be readable alone (an epoll instance can be polled itself, epoll(7)), and
// the calls are raw: they never block on this socket, which is set not to.
//
// One goroutine may read; any may write.
type quietSocket struct {
	port     int
	ipv6     bool
	readable *os.File // the epoll instance
	wait     syscall.RawConn
	zones    zones

	from unix.RawSockaddrInet6 // the reader's

	mu     sync.RWMutex // held to write, and by Close alone
	fd     int
	closed bool
}

// newQuietSocket takes over the socket of conn, which is closed in any case.
func newQuietSocket(conn *net.UDPConn) (*quietSocket, error) {
	s := &quietSocket{port: conn.LocalAddr().(*net.UDPAddr).Port, fd: -1}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) { failed = s.take(int(fd)) })
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, conn.Close()); err != nil {
		return nil, errors.Join(fmt.Errorf("set up the UDP socket: %w", err), s.Close())
	}
	return s, nil
}

// take duplicates a socket that does not block, and has it waited for.
func (s *quietSocket) take(fd int) (err error) {
	domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return err
	}
	s.ipv6 = domain == unix.AF_INET6
	if s.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return err
	}
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	// What does not block is what os.NewFile gives to the poller.
	err = errors.Join(unix.SetNonblock(epoll, true),
		unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, s.fd, &unix.EpollEvent{Events: unix.EPOLLIN}))
	s.readable = os.NewFile(uintptr(epoll), "udp")
	if err != nil {
		return err
	}
	s.wait, err = s.readable.SyscallConn()
	return err
}

// read waits for a datagram. It returns net.ErrClosed once the socket is closed.
func (s *quietSocket) read(buf []byte) (n int, src netip.AddrPort, err error) {
	var errno syscall.Errno
	err = s.wait.Read(func(uintptr) bool {
		n, errno = s.receive(buf)
		return errno != unix.EAGAIN && errno != unix.EINTR
	})
	switch {
	case err != nil && s.isClosed():
		return 0, netip.AddrPort{}, net.ErrClosed
	case err != nil:
		return 0, netip.AddrPort{}, err
	case errno != 0:
		return 0, netip.AddrPort{}, os.NewSyscallError("recvfrom", errno)
	}
	return n, s.source(), nil
}

func (s *quietSocket) receive(buf []byte) (int, syscall.Errno) {
	size := uint32(unsafe.Sizeof(s.from))
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		0, uintptr(unsafe.Pointer(&s.from)), uintptr(unsafe.Pointer(&size)))
	return int(n), errno
}

// source is where the datagram came from that was read last.
func (s *quietSocket) source() netip.AddrPort {
	if s.from.Family == unix.AF_INET {
		from := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.from))
		return netip.AddrPortFrom(netip.AddrFrom4(from.Addr), networkOrder(from.Port))
	}
	addr := netip.AddrFrom16(s.from.Addr).Unmap()
	if s.from.Scope_id != 0 {
		addr = addr.WithZone(s.zones.name(int(s.from.Scope_id)))
	}
	return netip.AddrPortFrom(addr, networkOrder(s.from.Port))
}

// write sends a datagram, or fails at once; with unix.EAGAIN where what was sent
// before it has not left yet.
func (s *quietSocket) write(packet []byte, to netip.AddrPort) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return net.ErrClosed
	}
	var errno syscall.Errno
	switch {
	case len(packet) == 0:
		return os.NewSyscallError("sendto", unix.EINVAL)
	case s.ipv6:
		addr := unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: networkOrder(to.Port()), Addr: to.Addr().As16()}
		if zone := to.Addr().Zone(); zone != "" {
			addr.Scope_id = uint32(s.zones.index(zone))
		}
		errno = s.send(packet, unsafe.Pointer(&addr), unsafe.Sizeof(addr))
	case to.Addr().Unmap().Is4():
		addr := unix.RawSockaddrInet4{Family: unix.AF_INET, Port: networkOrder(to.Port()), Addr: to.Addr().Unmap().As4()}
		errno = s.send(packet, unsafe.Pointer(&addr), unsafe.Sizeof(addr))
	default:
		errno = unix.EAFNOSUPPORT
	}
	if errno != 0 {
		return os.NewSyscallError("sendto", errno)
	}
	return nil
}

func (s *quietSocket) send(packet []byte, addr unsafe.Pointer, size uintptr) syscall.Errno {
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)),
		0, uintptr(addr), size)
	return errno
}

// networkOrder turns a port between the order of the network and the machine's.
func networkOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

func (s *quietSocket) isClosed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// Close ends a read that waits. Further calls do nothing.
func (s *quietSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var err error
	if s.readable != nil {
		err = s.readable.Close() // returns when no read is under way any more
	}
	if s.fd >= 0 {
		err = errors.Join(err, unix.Close(s.fd))
	}
	return err
}
