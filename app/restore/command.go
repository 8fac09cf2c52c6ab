package restore

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/edgeraft/edgeraft/raft"
)

// mark begins what is of this package: commands and snapshots.
const mark = 0xfe

// The kinds of command. The numbers are stored: never reuse one.
const (
	kindBegin   = 1
	kindPiece   = 2
	kindCommit  = 3
	kindAbort   = 4
	kindAbandon = 5
)

// Limits of the format.
const (
	MaxBytes      = 32 << 20 // of a state, as backup.MaxDataBytes
	MinPieceBytes = 512
	MaxPieceBytes = 1 << 20
	// MaxOverhead is the most bytes by which the command of a piece exceeds it.
	MaxOverhead = 2 + len(ID{}) + binary.MaxVarintLen64
	// AbandonAfter is in milliseconds of cluster time: five minutes.
	AbandonAfter = raft.Time(5 * 60 * 1000)
)

// ID tells one restore from another. Whoever begins one makes it at random.
type ID [8]byte

// Plan is what is announced of a restore.
type Plan struct {
	ID         ID
	Size       int // of the data, in bytes
	PieceBytes int // of each piece but the last
	// Time is cluster time at which the backup was taken: what a key had left
	// then, it has left when it is restored.
	Time raft.Time
	// Foreign: the backup is of another cluster, whose indexes and idempotency
	// keys are not this one's.
	Foreign bool
}

// Pieces is how many there are.
func (p *Plan) Pieces() int {
	return (p.Size + p.PieceBytes - 1) / p.PieceBytes
}

// piece is where piece n lies.
func (p *Plan) piece(n int) (from, to int) {
	from = n * p.PieceBytes
	return from, min(from+p.PieceBytes, p.Size)
}

func (p *Plan) valid() bool {
	return p.Size > 0 && p.Size <= MaxBytes && p.PieceBytes >= MinPieceBytes && p.PieceBytes <= MaxPieceBytes
}

// Level is the protocol level at which a command of the log is known. Devices of
// an older version would take it for an opaque command, and keep their state.
func Level(stored []byte) uint32 {
	if len(stored) > 0 && stored[0] == mark {
		return raft.LevelRestores
	}
	return 1
}

func header(kind byte, id ID) []byte { return append([]byte{mark, kind}, id[:]...) }

// Begin encodes the command that announces a restore.
func Begin(p Plan) []byte { return p.append(header(kindBegin, p.ID)) }

func (p *Plan) append(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(p.Size))
	b = binary.AppendUvarint(b, uint64(p.PieceBytes))
	b = binary.AppendUvarint(b, uint64(p.Time))
	foreign := byte(0)
	if p.Foreign {
		foreign = 1
	}
	return append(b, foreign)
}

// Piece encodes piece n. It copies data.
func Piece(id ID, n int, data []byte) []byte {
	return append(binary.AppendUvarint(header(kindPiece, id), uint64(n)), data...)
}

// Commit encodes the command that puts the staged state in the place of the
// present one, if it has this checksum.
func Commit(id ID, sum [sha256.Size]byte) []byte { return append(header(kindCommit, id), sum[:]...) }

// Abort encodes the command that throws away what is staged.
func Abort(id ID) []byte { return header(kindAbort, id) }

// abandon has what is abandoned thrown away, as every entry has.
var abandon = []byte{mark, kindAbandon}

// command is a decoded command. It shares the memory of the stored one.
type command struct {
	kind   byte
	id     ID
	plan   Plan              // of begin
	number int               // of piece
	data   []byte            // likewise
	sum    [sha256.Size]byte // of commit
}

func decode(b []byte) (c command, ok bool) {
	r := reader{rest: b}
	if r.byte() != mark {
		return command{}, false
	}
	if c.kind = r.byte(); c.kind == kindAbandon {
		return c, r.end()
	}
	copy(c.id[:], r.take(len(c.id)))
	switch c.kind {
	case kindBegin:
		c.plan = r.plan(c.id)
		return c, r.end() && c.plan.valid()
	case kindPiece:
		n := r.number()
		c.number, c.data = int(n), r.rest
		return c, !r.failed && n <= MaxBytes/MinPieceBytes
	case kindCommit:
		copy(c.sum[:], r.take(len(c.sum)))
		return c, r.end()
	case kindAbort:
		return c, r.end()
	}
	return command{}, false
}

// reader reads the parts of a command or a snapshot; after the first failure it
// reads nothing more.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) end() bool { return !r.failed && len(r.rest) == 0 }

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// small reads a number that must not exceed most.
func (r *reader) small(most int) int {
	n := r.number()
	if n > uint64(most) {
		r.failed = true
		return 0
	}
	return int(n)
}

func (r *reader) plan(id ID) Plan {
	p := Plan{ID: id, Size: r.small(MaxBytes), PieceBytes: r.small(MaxPieceBytes), Time: raft.Time(r.number())}
	switch r.byte() {
	case 0:
	case 1:
		p.Foreign = true
	default:
		r.failed = true
	}
	return p
}
