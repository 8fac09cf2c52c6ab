package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/udpcomms"
)

const (
	pingTries = 2
	pingFor   = time.Second
	// pingToken is by what an answer is known, at the start of what is sent.
	pingToken = 16
	// maxPing is the longest packet that is received: that and its headers.
	maxPing = udpcomms.MaxDatagram + 128
)

// The kinds of ICMP messages (RFC 792, RFC 4443).
const (
	echoRequest, echoReply   = 8, 0
	echoRequest6, echoReply6 = 128, 129
)

// pingBoth sends a short ping, and when that is answered a long one that must not be
// fragmented: with its header it is as long as the longest datagram of the agent.
func pingBoth(ctx context.Context, to netip.Addr) (p pings) {
	to = to.Unmap()
	fd, err := pingSocket(to)
	if err != nil {
		return pings{err: err}
	}
	defer unix.Close(fd)
	p.took, p.short = ping(ctx, fd, to.Is4(), 56)
	if p.short {
		_, p.long = ping(ctx, fd, to.Is4(), udpcomms.MaxDatagram)
	}
	return p
}

// pingSocket opens a socket for pings: one of those that the kernel lets some users
// have, or else a raw one.
func pingSocket(to netip.Addr) (int, error) {
	domain, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	var sa unix.Sockaddr
	if to.Is4() {
		sa = &unix.SockaddrInet4{Addr: to.As4()}
	} else {
		domain, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
		six := &unix.SockaddrInet6{Addr: to.As16()}
		if zone := to.Zone(); zone != "" {
			i, err := net.InterfaceByName(zone)
			if err != nil {
				return 0, err
			}
			six.ZoneId = uint32(i.Index)
		}
		sa = six
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		fd, err = unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	}
	if err != nil {
		return 0, err
	}
	wait := unix.NsecToTimeval(int64(pingFor))
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	if to.Is4() {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE))
	} else {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE))
	}
	// A connected one gets only what that device sends.
	if err = errors.Join(err, unix.Connect(fd, sa)); err != nil {
		unix.Close(fd)
		return 0, err
	}
	return fd, nil
}

// ping sends an echo request of size bytes, and waits for the reply.
func ping(ctx context.Context, fd int, is4 bool, size int) (time.Duration, bool) {
	buf := make([]byte, maxPing)
	for range pingTries {
		if ctx.Err() != nil {
			return 0, false
		}
		request := make([]byte, 8+size)
		request[0] = echoRequest
		if !is4 {
			request[0] = echoRequest6 // of which the kernel makes the sum
		}
		token := request[8 : 8+pingToken]
		_, _ = rand.Read(token) // it never fails
		if is4 {
			binary.BigEndian.PutUint16(request[2:], checksum(request))
		}
		began := time.Now()
		if _, err := unix.Write(fd, request); err != nil {
			continue // EMSGSIZE: it does not even leave
		}
		for time.Since(began) < pingFor && ctx.Err() == nil {
			n, err := unix.Read(fd, buf)
			if err != nil {
				break
			}
			if isReply(buf[:n], token, is4) {
				return time.Since(began), true
			}
		}
	}
	return 0, false
}

// isReply recognises the reply to a request; on raw sockets of IPv4 the IP header
// comes first.
func isReply(packet, token []byte, is4 bool) bool {
	kind := byte(echoReply6)
	if is4 {
		kind = echoReply
	}
	at := bytes.Index(packet, token)
	return at >= 8 && packet[at-8] == kind
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
