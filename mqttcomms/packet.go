package mqttcomms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// What a payload holds once it is opened is its kind and then, for
//
//	message   the message as package wire encodes it
//	group     number of further addressees (1 byte), CRC-32C of the ID of each
//	          (4), the message, addressed to the first
//	part      ID of the payload it is a part of (4), its length (4), offset (4), data
//	probe     a number (8), which an echo returns, zeros (7)
//	echo      the number (8), zeros (7)
//	check     nothing: only whether the broker takes it matters
//
// with big-endian numbers. A change of a layout needs a new kind. Kinds are
// never reused; an unknown one is dropped and counted as malformed.
//
// A checksum of an ID in place of the ID keeps a group message short. Who has
// the same as an addressee, one in four thousand million, takes an
// AppendEntries of the cluster's true leader as its own. That is harmless: it
// claims nothing of the addressee.
const (
	kindMessage = 1
	kindGroup   = 2
	kindPart    = 3
	kindProbe   = 4
	kindEcho    = 5
	kindCheck   = 6
)

const (
	partHeader = 1 + 4 + 4 + 4
	tagLen     = 4
	// maxPayload is the longest payload of which parts are made.
	maxPayload = 2 + tagLen*raft.MaxMembers + wire.MaxMessage
)

var errMalformed = errors.New("malformed payload")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// tag stands for a device among the addressees of a group message.
func tag(id raft.NodeID) uint32 { return crc32.Checksum([]byte(id), castagnoli) }

// appendMessage appends a payload of a message to m.To and also to others, at
// most raft.MaxMembers.
func appendMessage(dst []byte, m raft.Message, also []raft.NodeID) ([]byte, error) {
	if len(also) == 0 {
		return wire.AppendMessage(append(dst, kindMessage), m)
	}
	dst = append(dst, kindGroup, byte(len(also)))
	for _, id := range also {
		dst = binary.BigEndian.AppendUint32(dst, tag(id))
	}
	return wire.AppendMessage(dst, m)
}

// parseGroup reads a payload of kindGroup: the further addressees, and the
// message, which is part of b.
func parseGroup(b []byte) (also []uint32, message []byte, err error) {
	if len(b) < 2 || len(b) < 2+tagLen*int(b[1]) || b[1] == 0 {
		return nil, nil, fmt.Errorf("%w: a group message of %d bytes", errMalformed, len(b))
	}
	message = b[2+tagLen*int(b[1]):]
	for rest := b[2 : len(b)-len(message)]; len(rest) > 0; rest = rest[tagLen:] {
		also = append(also, binary.BigEndian.Uint32(rest))
	}
	return also, message, nil
}

// part is a part of a payload that is longer than the broker takes.
type part struct {
	payload uint32 // tells the sender's payloads apart
	total   int
	offset  int
	data    []byte
}

// appendPart appends the part of whole that begins at offset and has most bytes
// of data, or fewer at the end.
func appendPart(dst []byte, payload uint32, whole []byte, offset, most int) []byte {
	dst = append(dst, kindPart)
	dst = binary.BigEndian.AppendUint32(dst, payload)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(whole)))
	dst = binary.BigEndian.AppendUint32(dst, uint32(offset))
	return append(dst, whole[offset:min(offset+most, len(whole))]...)
}

// parsePart reads a payload of kindPart. The data is part of b.
func parsePart(b []byte) (part, error) {
	if len(b) <= partHeader {
		return part{}, fmt.Errorf("%w: a part of %d bytes", errMalformed, len(b))
	}
	total, offset := binary.BigEndian.Uint32(b[5:]), binary.BigEndian.Uint32(b[9:])
	data := b[partHeader:]
	if total > maxPayload || uint64(offset)+uint64(len(data)) > uint64(total) {
		return part{}, fmt.Errorf("%w: a part of %d bytes at %d of %d", errMalformed, len(data), offset, total)
	}
	return part{payload: binary.BigEndian.Uint32(b[1:]), total: int(total), offset: int(offset), data: data}, nil
}

// alike reports whether two messages of this device differ in their addressee
// only. It does not look at what entries hold: of one sender in one term, index
// and term of an entry say that (Log Matching, thesis §3.5).
func alike(a, b raft.Message) bool {
	if a.Cluster != b.Cluster || a.From != b.From || a.Term != b.Term {
		return false
	}
	switch x := a.Body.(type) {
	case raft.AppendRequest:
		y, ok := b.Body.(raft.AppendRequest)
		return ok && x.PrevIndex == y.PrevIndex && x.PrevTerm == y.PrevTerm && x.Commit == y.Commit &&
			x.Read == y.Read && x.Clock == y.Clock && slices.EqualFunc(x.Entries, y.Entries,
			func(e, f raft.Entry) bool { return e.Index == f.Index && e.Term == f.Term })
	case raft.PreVoteRequest:
		return a.Body == b.Body
	case raft.VoteRequest:
		return a.Body == b.Body
	}
	return false
}
