package boltlog

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/edgeraft/edgeraft/raft"
)

// A sector is the unit in which the ring is written: one page, and one block of
// the file system. It begins with (little-endian):
//
//	 0  CRC-32C of the ring's ID and of all that follows, up to the payload's end
//	 4  version, 1 byte; 1 byte 0; length of the payload, 2 bytes
//	 8  epoch, 8 bytes
//	16  where the payload starts in the epoch's stream, 8 bytes
//	24  its slot; the slots of the first and the last sector of its save, 4 bytes each
//	36  cluster, 16 bytes; term, 8; vote, 16 (zeros: nobody); commit, 8
//	84  payload
const (
	sectorSize    = pageSize
	sectorHead    = 84
	sectorRoom    = sectorSize - sectorHead // bytes of payload
	sectorVersion = 1
)

var (
	order      = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// sector is one of the sectors of a save.
type sector struct {
	epoch, start      uint64
	slot, first, last uint32
	state             raft.HardState
	payload           []byte
}

// encode makes b, of sectorSize bytes, the sector; the payload is in its place
// already, and used bytes long. seed stands for the ring.
func (s *sector) encode(b []byte, used int, seed uint32) {
	b[4], b[5] = sectorVersion, 0
	order.PutUint16(b[6:], uint16(used))
	order.PutUint64(b[8:], s.epoch)
	order.PutUint64(b[16:], s.start)
	order.PutUint32(b[24:], s.slot)
	order.PutUint32(b[28:], s.first)
	order.PutUint32(b[32:], s.last)
	copy(b[36:52], s.state.Cluster[:])
	order.PutUint64(b[52:], uint64(s.state.Term))
	clear(b[60:76])
	copy(b[60:76], s.state.Vote)
	order.PutUint64(b[76:], uint64(s.state.Commit))
	clear(b[sectorHead+used:])
	order.PutUint32(b, crc32.Update(seed, castagnoli, b[4:sectorHead+used]))
}

// decodeSector reads b, of sectorSize bytes, and reports whether it is a whole
// sector of the ring that seed stands for. The payload is part of b.
func decodeSector(b []byte, seed uint32) (sector, bool) {
	used := int(order.Uint16(b[6:]))
	if used > sectorRoom || crc32.Update(seed, castagnoli, b[4:sectorHead+used]) != order.Uint32(b) {
		return sector{}, false
	}
	s := sector{
		epoch: order.Uint64(b[8:]), start: order.Uint64(b[16:]),
		slot: order.Uint32(b[24:]), first: order.Uint32(b[28:]), last: order.Uint32(b[32:]),
		state: raft.HardState{
			Cluster: raft.ClusterID(b[36:52]),
			Term:    raft.Term(order.Uint64(b[52:])),
			Commit:  raft.Index(order.Uint64(b[76:])),
		},
		payload: b[sectorHead : sectorHead+used],
	}
	if vote := [raft.NodeIDLen]byte(b[60:76]); vote != [raft.NodeIDLen]byte{} {
		s.state.Vote = raft.NodeID(vote[:])
		if !s.state.Vote.Valid() {
			return sector{}, false
		}
	}
	return s, b[4] == sectorVersion && s.first <= s.slot && s.slot <= s.last
}

// sectorsFor is how many sectors a save with so many bytes of payload takes. One
// without any has its hard state.
func sectorsFor(payload int) int {
	return max(1, (payload+sectorRoom-1)/sectorRoom)
}
