package integration

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
)

// The neighbour is this binary too, in another namespace.
func init() {
	if os.Getenv(envRole) != roleNeighbour {
		return
	}
	if err := neighbour(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println("neighbour:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// neighbour is what somebody on the same network can do without the key.
func neighbour(what string, args []string) error {
	switch what {
	case "capture": // FILE: what passes this device's interface, until killed
		return capture(args[0])
	case "frames": // FILE: every frame that passes, until killed
		return eachFrame(args[0], func(frame []byte) []byte { return frame })
	case "spoof": // ROUNDS FILE SOURCE ADDRESS...
		rounds, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return spoof(rounds, args[1], args[2], args[3:])
	case "send": // ROUNDS FILE ADDRESS...
		rounds, err := strconv.Atoi(args[0])
		if err != nil {
			return err
		}
		return send(rounds, args[1], args[2:])
	}
	return fmt.Errorf("cannot %q", what)
}

// capture writes the agents' datagrams to a file, as appendDatagram does.
func capture(file string) error {
	const head, udp = 14, 17 // an Ethernet header; the protocol's number
	return eachFrame(file, func(frame []byte) []byte {
		if len(frame) < head+20 {
			return nil
		}
		packet, datagram := frame[head:], []byte(nil)
		switch {
		case packet[0]>>4 == 4 && packet[9] == udp:
			datagram = packet[int(packet[0]&15)*4:]
		case packet[0]>>4 == 6 && len(packet) > 40 && packet[6] == udp:
			datagram = packet[40:]
		}
		if len(datagram) < 8 || binary.BigEndian.Uint16(datagram[2:]) != agentPort {
			return nil
		}
		return datagram[8:]
	})
}

// eachFrame writes to a file what is worth it of each frame, until killed.
func eachFrame(file string, worth func([]byte) []byte) error {
	const all = 0x0003 // ETH_P_ALL
	fd, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, all<<8)
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	for frame := make([]byte, 64<<10); ; {
		n, _, err := syscall.Recvfrom(fd, frame, 0)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return err
		}
		if d := worth(frame[:max(n, 0)]); len(d) > 0 {
			if _, err := out.Write(appendDatagram(nil, d)); err != nil {
				return err
			}
		}
	}
}

// spoof sends each datagram of a file to each IPv4 address as if it came from a
// source that is not the sender's.
func spoof(rounds int, file, source string, addresses []string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW, syscall.IPPROTO_RAW)
	if err != nil {
		return err
	}
	from, err := netip.ParseAddrPort(source)
	if err != nil {
		return err
	}
	for range rounds {
		for _, d := range readDatagrams(content) {
			for _, address := range addresses {
				to, err := netip.ParseAddrPort(address)
				if err != nil {
					return err
				}
				packet := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, syscall.IPPROTO_UDP, 0, 0} // the kernel adds what is 0
				packet = append(packet, from.Addr().AsSlice()...)
				packet = append(packet, to.Addr().AsSlice()...)
				for _, field := range []uint16{from.Port(), to.Port(), uint16(8 + len(d)), 0} {
					packet = binary.BigEndian.AppendUint16(packet, field)
				}
				binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)+len(d)))
				// What the network refuses is lost, as anywhere.
				_ = syscall.Sendto(fd, append(packet, d...), 0, &syscall.SockaddrInet4{Addr: to.Addr().As4()})
			}
		}
	}
	return nil
}

// send sends each datagram of a file to each address, so many rounds, 0: until
// killed. It paces itself only between rounds.
func send(rounds int, file string, addresses []string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// There is no route by which multicast would find its way.
	self := [4]byte{10, 77, 0, neighbourDevice}
	if e := raw.Control(func(fd uintptr) {
		err = syscall.SetsockoptInet4Addr(int(fd), syscall.IPPROTO_IP, syscall.IP_MULTICAST_IF, self)
	}); e != nil || err != nil {
		return errors.Join(e, err)
	}
	var targets []netip.AddrPort
	for _, a := range addresses {
		target, err := netip.ParseAddrPort(a)
		if err != nil {
			return err
		}
		targets = append(targets, target)
	}
	datagrams := readDatagrams(content)
	pace := time.NewTicker(10 * time.Millisecond)
	for round := 0; rounds == 0 || round < rounds; round++ {
		for _, d := range datagrams {
			for _, target := range targets {
				// What the network refuses is lost, as anywhere.
				_, _ = conn.WriteToUDPAddrPort(d, target)
			}
		}
		<-pace.C
	}
	fmt.Println("sent", len(datagrams)*len(targets)*rounds)
	return nil
}

func appendDatagram(dst, d []byte) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(d))), d...)
}

// readDatagrams reads what appendDatagram wrote; half a one at the end is left.
func readDatagrams(b []byte) [][]byte {
	var all [][]byte
	for len(b) >= 2 {
		n := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+n {
			break
		}
		all, b = append(all, b[2:2+n]), b[2+n:]
	}
	return all
}
