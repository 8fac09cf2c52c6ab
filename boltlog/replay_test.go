package boltlog

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// image is a ring in memory, with the content that replaying it starts from.
type image struct {
	t    testing.TB
	ring ring
	all  []byte
	tail tail
	log  []raft.Entry // with all saves
}

const imageEpoch = 7

func newImage(t testing.TB, slots int) *image {
	m := &image{t: t, ring: ring{slots: slots, seed: ringSeed([]byte("the ring's own ID"))}, all: make([]byte, slots*sectorSize)}
	m.ring.restart(imageEpoch)
	m.tail.restart(1)
	return m
}

// save puts a save in the next slots: hard state with this term, and entries.
func (m *image) save(term raft.Term, entries ...raft.Entry) {
	m.t.Helper()
	var cut []byte
	if len(entries) > 0 && int(entries[0].Index) <= len(m.log) {
		cut = appendCut(nil, entries[0].Index)
		m.tail.cut(entries[0].Index)
		m.log = m.log[:entries[0].Index-1]
	}
	start := len(m.tail.data)
	for _, e := range entries {
		if err := m.tail.add(e); err != nil {
			m.t.Fatal(err)
		}
	}
	m.log = append(m.log, entries...)
	m.put(raft.HardState{Term: term}, cut, m.tail.data[start:])
}

func (m *image) put(state raft.HardState, cut, records []byte) {
	at := m.ring.next * sectorSize
	copy(m.all[at:], m.ring.sectors(state, cut, records))
}

func (m *image) slot(i int) []byte { return m.all[i*sectorSize : (i+1)*sectorSize] }

// reseal changes the sector in a slot and gives it the checksum it then has.
func (m *image) reseal(i int, change func(*sector)) {
	m.t.Helper()
	s, ok := decodeSector(m.slot(i), m.ring.seed)
	if !ok {
		m.t.Fatalf("slot %d is no sector", i)
	}
	change(&s)
	s.encode(m.slot(i), len(s.payload), m.ring.seed)
}

func (m *image) replay() (*content, error) {
	c := &content{ring: ringState{Epoch: imageEpoch, First: 1}}
	var t tail
	err := m.ring.replay(m.all, c, &t)
	if err == nil && int(t.first)+len(t.ends) != len(c.stored.Entries)+1 {
		m.t.Errorf("the tail has %d entries from %d on, the log %d", len(t.ends), t.first, len(c.stored.Entries))
	}
	return c, err
}

func entriesOf(term raft.Term, from, to raft.Index, size int) []raft.Entry {
	es := commands(term, from, to)
	for i := range es {
		es[i].Data = bytes.Repeat(es[i].Data, size/len(es[i].Data)+1)
	}
	return es
}

func TestReplay(t *testing.T) {
	m := newImage(t, 20)
	m.save(1, commands(1, 1, 3)...)
	m.save(2) // a vote
	m.save(2, entriesOf(2, 4, 10, 2000)...)
	m.save(3, commands(3, 6, 6)...)
	m.save(3, entriesOf(3, 1, 2, 5000)...)
	m.save(3, commands(3, 3, 5)...)
	c, err := m.replay()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c.stored.Entries, m.log) || c.stored.State.Term != 3 {
		t.Error(difference(c.stored, raft.Stored{State: raft.HardState{Term: 3}, Entries: m.log}))
	}
}

// TestEveryBadSector spoils every sector of a ring, alone: in the last save it
// is cut off, before it is damage.
func TestEveryBadSector(t *testing.T) {
	const slots = 16
	spoil := map[string]func(b []byte){
		"zeros":   func(b []byte) { clear(b) },
		"a bit":   func(b []byte) { b[sectorHead-1] ^= 4 },
		"old":     func(b []byte) { b[8]-- },
		"garbage": func(b []byte) { copy(b, bytes.Repeat([]byte("garbage "), sectorSize/8)) },
		"the last 512 bytes": func(b []byte) {
			used := int(order.Uint16(b[6:]))
			clear(b[max(0, sectorHead+used-512):])
		},
	}
	for name, harm := range spoil {
		for bad := firstSlot; bad < 12; bad++ {
			m := newImage(t, slots)
			m.save(1, commands(1, 1, 3)...)         // 1
			m.save(2)                               // 2
			m.save(2, entriesOf(2, 4, 10, 1500)...) // 3 to 5
			m.save(3, commands(3, 6, 6)...)         // 6
			m.save(3, commands(3, 7, 7)...)         // 7
			m.save(4, entriesOf(4, 5, 10, 2500)...) // 8 to 11
			before := append(commands(1, 1, 3), append(entriesOf(2, 4, 5, 1500), commands(3, 6, 7)...)...)
			if m.ring.next != 12 {
				t.Fatalf("%d slots are used", m.ring.next)
			}
			harm(m.slot(bad))
			c, err := m.replay()
			switch {
			case bad < 8 && !errors.Is(err, ErrDamaged):
				t.Errorf("%s in slot %d: error %v", name, bad, err)
			case bad >= 8 && (err != nil || c.stored.State.Term != 3 || !reflect.DeepEqual(c.stored.Entries, before)):
				t.Errorf("%s in slot %d: error %v, %s", name, bad, err, difference(c.stored, raft.Stored{State: raft.HardState{Term: 3}, Entries: before}))
			}
		}
	}
}

// TestReplayStops where a sector that is whole does not belong.
func TestReplayStops(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(m *image)
		want   error
		last   int // entry
	}{
		{"nothing", func(*image) {}, nil, 4},
		{"an older epoch", func(m *image) { m.reseal(4, func(s *sector) { s.epoch-- }) }, nil, 3},
		{"an older epoch in the middle", func(m *image) { m.reseal(3, func(s *sector) { s.epoch-- }) }, ErrDamaged, 0},
		{"a later epoch", func(m *image) { m.reseal(4, func(s *sector) { s.epoch++ }) }, ErrDamaged, 0},
		{"a later epoch behind a gap", func(m *image) { m.put(raft.HardState{}, nil, nil); m.reseal(5, func(s *sector) { s.epoch += 2 }) }, ErrDamaged, 0},
		{"another start", func(m *image) { m.reseal(4, func(s *sector) { s.start++ }) }, nil, 3},
		{"another start in the middle", func(m *image) { m.reseal(3, func(s *sector) { s.start-- }) }, ErrDamaged, 0},
		{"another slot", func(m *image) { m.reseal(4, func(s *sector) { s.slot, s.first, s.last = 5, 5, 5 }) }, nil, 3},
		{"the next slot's sector", func(m *image) { copy(m.slot(3), m.slot(4)) }, ErrDamaged, 0},
		{"a save that ends later", func(m *image) { m.reseal(4, func(s *sector) { s.last = 5 }) }, nil, 3},
		{"a save that began before", func(m *image) { m.reseal(4, func(s *sector) { s.first = 3 }) }, nil, 3},
		{"another ring's sector", func(m *image) {
			s, _ := decodeSector(m.slot(4), m.ring.seed)
			s.encode(m.slot(4), len(s.payload), ringSeed([]byte("another ring")))
		}, nil, 3},
		{"a sector left of an unfinished save", func(m *image) {
			// It and the one before were on their way; this one arrived.
			m.put(raft.HardState{}, nil, make([]byte, 2*sectorRoom))
			clear(m.slot(5))
		}, nil, 4},
		{"a save behind one that is not whole", func(m *image) {
			m.put(raft.HardState{}, nil, make([]byte, 2*sectorRoom))
			clear(m.slot(5))
			m.put(raft.HardState{}, nil, nil)
		}, ErrDamaged, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newImage(t, 10)
			for i := raft.Index(1); i <= 4; i++ {
				m.save(1, commands(1, i, i)...)
			}
			c.change(m)
			got, err := m.replay()
			if !errors.Is(err, c.want) || err == nil && len(got.stored.Entries) != c.last {
				t.Errorf("error %v, %d entries", err, len(got.stored.Entries))
			}
		})
	}
}

// TestRecordsAreChecked although the sector's checksum is right: a record has
// its own, and its index is under it.
func TestRecordsAreChecked(t *testing.T) {
	var two tail
	two.restart(1)
	for _, e := range commands(1, 1, 2) {
		if err := two.add(e); err != nil {
			t.Fatal(err)
		}
	}
	first, second := two.data[:two.ends[0]], two.data[two.ends[0]:]
	other := bytes.Clone(first)
	other[3] ^= 3 // the index, in the entry's second byte
	for name, records := range map[string][]byte{
		"in the wrong order":  append(bytes.Clone(second), first...),
		"twice":               append(bytes.Clone(first), first...),
		"another index":       other,
		"half":                first[:len(first)/2],
		"a cut at nothing":    appendCut(nil, 0),
		"a cut behind":        appendCut(nil, 5),
		"half a cut":          appendCut(nil, 1)[:4],
		"a length of 2^63":    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
		"a length of no end":  bytes.Repeat([]byte{0xff}, 12),
		"a byte of the next":  append(bytes.Clone(first), second[0]),
		"an entry of nothing": {1, 1},
	} {
		m := newImage(t, 8)
		m.put(raft.HardState{Term: 1}, nil, records)
		if _, err := m.replay(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestEveryBitOfASectorIsCovered by the checksum, but those behind the payload.
func TestEveryBitOfASectorIsCovered(t *testing.T) {
	m := newImage(t, 4)
	m.put(raft.HardState{Cluster: raft.ClusterID{1}, Term: 2, Vote: "aaaaaaaaaaaaaaaa", Commit: 3}, nil, []byte("payload"))
	b := m.slot(1)
	for bit := range 8 * (sectorHead + len("payload")) {
		b[bit/8] ^= 1 << (bit % 8)
		if s, ok := decodeSector(b, m.ring.seed); ok {
			t.Errorf("bit %d: %+v", bit, s)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
	if _, ok := decodeSector(b, m.ring.seed); !ok {
		t.Error("the sector itself is not whole")
	}
	if _, ok := decodeSector(b, m.ring.seed+1); ok {
		t.Error("another ring's sector is taken")
	}
}

// TestTheBootIsNeverUsedAgain: its sector is ahead of a database that went back
// by a transaction, and by more it cannot be.
func TestTheBootIsNeverUsedAgain(t *testing.T) {
	for _, c := range []struct {
		epoch, boot, want uint64
		err               error
	}{
		{imageEpoch, 5, 5, nil},
		{imageEpoch + 1, 6, 6, nil},
		{imageEpoch - 1, 4, 5, nil},
		{imageEpoch + 2, 6, 0, ErrDamaged},
		{math.MaxUint64, 6, 0, ErrDamaged},
	} {
		m := newImage(t, 4)
		b := m.slot(bootSlot)
		order.PutUint64(b[sectorHead:], c.boot)
		s := sector{epoch: c.epoch}
		s.encode(b, 8, m.ring.seed)
		got := content{device: device{Boot: 5}, ring: ringState{Epoch: imageEpoch, First: 1}}
		err := m.ring.replay(m.all, &got, new(tail))
		if !errors.Is(err, c.err) || err == nil && got.device.Boot != c.want {
			t.Errorf("epoch %d, boot %d: %d, %v", c.epoch, c.boot, got.device.Boot, err)
		}
	}
}

// TestATransactionThatIsGone: without the newest meta page bbolt shows the
// transaction before. Nothing is lost while nothing was saved since, and then
// the ring shows that it is.
func TestATransactionThatIsGone(t *testing.T) {
	for _, saved := range []bool{false, true} {
		t.Run(fmt.Sprint("saved ", saved), func(t *testing.T) {
			dir, want := filled(t)
			l, first := open(t, dir)
			if saved {
				save(t, l, raft.Save{State: want.State})
			}
			m, err := newestMeta(l.file)
			if err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			to := harmed(t, dir, func(b []byte) []byte { clear(b[m.txid%2*pageSize:][:pageSize]); return b })
			if saved {
				refuses(t, to, home, ErrDamaged)
				return
			}
			if _, got := open(t, to); got.Identity.Boot != first.Identity.Boot+1 || !reflect.DeepEqual(got.Stored, want) {
				t.Errorf("boot %d; %s", got.Identity.Boot, difference(got.Stored, want))
			}
		})
	}
}

// TestATornSaveIsForgotten for good: its sectors do not come back behind what is
// saved later in the same slots.
func TestATornSaveIsForgotten(t *testing.T) {
	dir := t.TempDir()
	l, _, _ := watched(t, dir, sized(20))
	state := raft.HardState{Term: 1}
	save(t, l, raft.Save{State: state, Entries: commands(1, 1, 3)})
	torn := l.ring.offset(l.ring.next)
	save(t, l, raft.Save{State: state, Entries: entriesOf(1, 4, 12, 2000)})
	to := harmed(t, dir, func(b []byte) []byte { clear(b[torn:][:sectorSize]); return b }) // l is never closed
	l, got, _ := watched(t, to, sized(20))
	if len(got.Stored.Entries) != 3 {
		t.Fatalf("%d entries", len(got.Stored.Entries))
	}
	save(t, l, raft.Save{State: state, Entries: commands(1, 4, 4)})
	again := copyDir(t, to) // not closed either
	if _, got, _ = watched(t, again, sized(20)); len(got.Stored.Entries) != 4 {
		t.Errorf("%d entries", len(got.Stored.Entries))
	}
}

// TestCloseMarksTheEnd: behind a last save that cannot be read there is
// something, so that it is not taken for one that was cut off.
func TestCloseMarksTheEnd(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 3)})
	last := l.ring.offset(l.ring.next - 1)
	mustClose(t, l)
	refuses(t, harmed(t, dir, func(b []byte) []byte { b[last+sectorHead] ^= 1; return b }), home, ErrDamaged)
	open(t, dir)
}

// TestCloseMarksATransaction: a last save that went into a transaction, a vote
// among them, is not forgotten with that transaction's meta page.
func TestCloseMarksATransaction(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	for l.ring.holds(0) {
		save(t, l, raft.Save{State: raft.HardState{Term: 1}})
	}
	state := raft.HardState{Term: 2, Vote: raft.NodeIDFrom([10]byte{1})}
	save(t, l, raft.Save{State: state})
	m, err := newestMeta(l.file)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	refuses(t, harmed(t, dir, func(b []byte) []byte { clear(b[m.txid%2*pageSize:][:pageSize]); return b }), home, ErrDamaged)
	if _, got := open(t, dir); got.Stored.State != state {
		t.Errorf("%+v", got.Stored.State)
	}
}

// TestCommittedEntriesMustBeThere: a commit index beyond the log is damage.
func TestCommittedEntriesMustBeThere(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: 4}, Entries: commands(1, 1, 3)})
	mustClose(t, l)
	refuses(t, dir, home, ErrDamaged)
}
