package udpcomms

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// openSocket binds the address, "host:port" with an IP address or nothing for
// the host. Nothing means all addresses, of IPv4 and, where the kernel has it,
// IPv6.
func openSocket(listen string) (*quietSocket, error) {
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %q: %w; write it like :7521 or 192.168.1.5:7521", listen, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %q: the port must be a number from 0 to 65535", listen)
	}
	addr := &net.UDPAddr{Port: int(port)}
	if host != "" {
		ip, err := netip.ParseAddr(host)
		if err != nil {
			return nil, fmt.Errorf("listen on UDP %q: %w; use an IP address of this device, or none for all", listen, err)
		}
		addr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(ip, uint16(port)))
	}
	conn, err := net.ListenUDP("udp", addr)
	if host == "" && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)) {
		conn, err = net.ListenUDP("udp4", addr)
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen on UDP %q: %w; another agent or program has this port: stop it, or choose another port (udp.listen)", listen, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen on UDP %q: %w; this device does not have the address: name one that it has, or none for all (udp.listen)", listen, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen on UDP %q: %w; ports below 1024 are for root: choose another port (udp.listen)", listen, err)
	case err != nil:
		return nil, fmt.Errorf("listen on UDP %q: %w", listen, err)
	}
	// A refusal is no reason to stop: what overflows is asked for again.
	_ = conn.SetReadBuffer(receiveBuffer)
	return newQuietSocket(conn)
}
