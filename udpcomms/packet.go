package udpcomms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// What a packet holds once it is opened is its kind and then, for
//
//	message    the message as package wire encodes it
//	fragment   ID of the message (8 bytes), index (2), total length (4), data
//	missing    ID of the message (8), then runs: first index (2), number (2)
//	where-is   device ID (16)
//	addresses  device ID (16), then addresses: length 4 or 16 (1), IP, port (2)
//	probe      a number (8), which an echo returns, zeros (7)
//	echo       the number (8), zeros (7)
//
// with big-endian numbers. A change of a layout needs a new kind. Kinds are
// never reused; an unknown one is dropped and counted as malformed.
const (
	kindMessage   = 1
	kindFragment  = 2
	kindMissing   = 3
	kindWhereIs   = 4
	kindAddresses = 5
	kindProbe     = 8
	kindEcho      = 9
)

// fragmentHeader is what a fragment has before its data.
const fragmentHeader = 1 + 8 + 2 + 4

var errMalformed = errors.New("malformed packet")

// fragment is a part of a message too large for one packet. All but the last
// hold fragmentData bytes.
type fragment struct {
	message uint64 // random start, then counting: tells the sender's messages apart
	index   int
	total   int // bytes of the whole message
	data    []byte
}

// fragmentCount is how many fragments a message of this length has.
func fragmentCount(total int) int { return (total + fragmentData - 1) / fragmentData }

// appendFragment appends the packet of fragment index of the whole message.
func appendFragment(dst []byte, message uint64, index int, whole []byte) []byte {
	dst = append(dst, kindFragment)
	dst = binary.BigEndian.AppendUint64(dst, message)
	dst = binary.BigEndian.AppendUint16(dst, uint16(index))
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(whole)))
	return append(dst, whole[index*fragmentData:min((index+1)*fragmentData, len(whole))]...)
}

// parseFragment reads a packet of kindFragment. The data is part of b.
func parseFragment(b []byte) (fragment, error) {
	if len(b) <= fragmentHeader {
		return fragment{}, fmt.Errorf("%w: a fragment of %d bytes", errMalformed, len(b))
	}
	total := binary.BigEndian.Uint32(b[11:])
	if total < maxPlain || total > wire.MaxMessage { // with its kind, less fits one packet
		return fragment{}, fmt.Errorf("%w: a fragment of a message of %d bytes", errMalformed, total)
	}
	f := fragment{
		message: binary.BigEndian.Uint64(b[1:]),
		index:   int(binary.BigEndian.Uint16(b[9:])),
		total:   int(total),
		data:    b[fragmentHeader:],
	}
	if f.index >= fragmentCount(f.total) || len(f.data) != min(fragmentData, f.total-f.index*fragmentData) {
		return fragment{}, fmt.Errorf("%w: fragment %d of a message of %d bytes has %d", errMalformed, f.index, total, len(f.data))
	}
	return f, nil
}

// run is some successive fragments.
type run struct{ first, count int }

// appendMissing appends a request for fragments, at most maxRanges runs.
func appendMissing(dst []byte, message uint64, runs []run) []byte {
	dst = append(dst, kindMissing)
	dst = binary.BigEndian.AppendUint64(dst, message)
	for _, r := range runs {
		dst = binary.BigEndian.AppendUint16(dst, uint16(r.first))
		dst = binary.BigEndian.AppendUint16(dst, uint16(r.count))
	}
	return dst
}

// parseMissing reads a packet of kindMissing. The runs are ascending and do not
// overlap, but may lie beyond the message's end.
func parseMissing(b []byte) (message uint64, runs []run, err error) {
	const head, size = 1 + 8, 4
	if len(b) <= head || (len(b)-head)%size != 0 || (len(b)-head)/size > maxRanges {
		return 0, nil, fmt.Errorf("%w: a request of %d bytes", errMalformed, len(b))
	}
	end := 0
	for rest := b[head:]; len(rest) > 0; rest = rest[size:] {
		r := run{int(binary.BigEndian.Uint16(rest)), int(binary.BigEndian.Uint16(rest[2:]))}
		if r.first < end || r.count == 0 || r.first+r.count > maxFragments {
			return 0, nil, fmt.Errorf("%w: a request for %d fragments from %d", errMalformed, r.count, r.first)
		}
		end = r.first + r.count
		runs = append(runs, r)
	}
	return binary.BigEndian.Uint64(b[1:]), runs, nil
}

// appendWhereIs appends a question for the addresses of a device.
func appendWhereIs(dst []byte, id raft.NodeID) []byte {
	return append(append(dst, kindWhereIs), id...)
}

// parseWhereIs reads a packet of kindWhereIs.
func parseWhereIs(b []byte) (raft.NodeID, error) {
	id := raft.NodeID(b[1:])
	if !id.Valid() {
		return "", fmt.Errorf("%w: a question for the device %q", errMalformed, string(id[:min(len(id), raft.NodeIDLen)]))
	}
	return id, nil
}

// appendAddresses appends an answer to a question, at most maxHints addresses.
// Zones are left out: they mean nothing elsewhere.
func appendAddresses(dst []byte, id raft.NodeID, addrs []netip.AddrPort) []byte {
	dst = append(append(dst, kindAddresses), id...)
	for _, a := range addrs {
		ip := a.Addr().WithZone("").AsSlice()
		dst = append(dst, byte(len(ip)))
		dst = append(dst, ip...)
		dst = binary.BigEndian.AppendUint16(dst, a.Port())
	}
	return dst
}

// parseAddresses reads a packet of kindAddresses. Addresses are unmapped, and
// whether they can be sent to is not checked.
func parseAddresses(b []byte) (raft.NodeID, []netip.AddrPort, error) {
	b = b[1:]
	if len(b) < raft.NodeIDLen || !raft.NodeID(b[:raft.NodeIDLen]).Valid() {
		return "", nil, fmt.Errorf("%w: addresses of no valid device", errMalformed)
	}
	id := raft.NodeID(b[:raft.NodeIDLen])
	var addrs []netip.AddrPort
	for b = b[raft.NodeIDLen:]; len(b) > 0; {
		n := int(b[0])
		if n != 4 && n != 16 || len(b) < 1+n+2 || len(addrs) == maxHints {
			return "", nil, fmt.Errorf("%w: address %d of %s", errMalformed, len(addrs), id)
		}
		ip, _ := netip.AddrFromSlice(b[1 : 1+n])
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(b[1+n:])))
		b = b[1+n+2:]
	}
	return id, addrs, nil
}
