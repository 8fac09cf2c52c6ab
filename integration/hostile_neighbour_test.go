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
	const all, head, udp = 0x0003, 14, 17 // ETH_P_ALL; an Ethernet header; the protocol's number
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
		if n < head+20 {
			continue
		}
		packet, datagram := frame[head:n], []byte(nil)
		switch {
		case packet[0]>>4 == 4 && packet[9] == udp:
			datagram = packet[int(packet[0]&15)*4:]
		case packet[0]>>4 == 6 && len(packet) > 40 && packet[6] == udp:
			datagram = packet[40:]
		}
		if len(datagram) < 8 || binary.BigEndian.Uint16(datagram[2:]) != agentPort {
			continue
		}
		if _, err := out.Write(appendDatagram(nil, datagram[8:])); err != nil {
			return err
		}
	}
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
