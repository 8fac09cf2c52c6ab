package powercut

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// Mode is a way to lose what is in flight.
type Mode uint8

// The modes. All but Nothing and Everything are decided by a seed; in those a
// name in flight changed or did not, each by itself, except in Prefix.
const (
	// Nothing of what is in flight arrived.
	Nothing Mode = iota
	// Everything arrived.
	Everything
	// Prefix is what arrived in the order of time up to somewhere; the last
	// write is torn at a sector.
	Prefix
	// Blocks arrived or did not, each by itself, in any order.
	Blocks
	// Sectors likewise: blocks are torn.
	Sectors
	// Garbage is Blocks with noise in a third of the blocks in flight.
	Garbage
	// Single is one block in flight that alone arrived, or alone is missing.
	Single

	modes
)

// Modes are all modes.
func Modes() []Mode {
	out := make([]Mode, modes)
	for i := range out {
		out[i] = Mode(i)
	}
	return out
}

var modeNames = [modes]string{"nothing arrived", "everything arrived", "prefix, last torn", "blocks", "torn sectors", "garbage", "single block"}

func (m Mode) String() string {
	if m < modes {
		return modeNames[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// State makes one of the states in which the disk may come back if power fails
// after pos events. The same arguments make the same state.
func (h *History) State(pos int, mode Mode, seed uint64) *Image {
	m := h.at[pos]
	s := &maker{
		r:      rand.New(rand.NewPCG(seed, uint64(pos)<<8|uint64(mode))),
		mode:   mode,
		im:     m.durable.Clone(),
		events: m.flight,
	}
	switch mode {
	case Nothing:
	case Everything:
		for _, e := range m.flight {
			s.im.apply(e.Event)
		}
	case Prefix:
		s.prefix()
	default:
		s.names()
		for _, i := range s.files() {
			s.data(i)
		}
	}
	return s.im
}

// maker makes one state.
type maker struct {
	r      *rand.Rand
	mode   Mode
	im     *Image
	events []flying
}

func (s *maker) prefix() {
	if len(s.events) == 0 {
		return
	}
	last := s.r.IntN(len(s.events))
	for _, e := range s.events[:last] {
		s.im.apply(e.Event)
	}
	e := s.events[last].Event
	if e.Kind != Write {
		s.im.apply(e)
		return
	}
	// Up to a multiple of SectorSize of the file, not of the write.
	first, full := e.Off/SectorSize, e.Off+int64(len(e.Data))
	end := min(full, (first+s.r.Int64N((full+SectorSize-1)/SectorSize-first+1))*SectorSize)
	if end > e.Off {
		e.Data = e.Data[:end-e.Off]
		s.im.apply(e)
	}
}

// names applies any of the changes of names, in their order.
func (s *maker) names() {
	for _, e := range s.events {
		switch e.Kind {
		case Write, Truncate:
		default:
			if s.r.IntN(2) == 0 {
				s.im.applyName(e.Event)
			}
		}
	}
}

// files returns the files with data in flight.
func (s *maker) files() []Ino {
	var out []Ino
	for _, e := range s.events {
		if (e.Kind == Write || e.Kind == Truncate) && !slices.Contains(out, e.Ino) {
			out = append(out, e.Ino)
		}
	}
	return out
}

// data mixes the old and the new of a file. Each unit (a block or a sector)
// and the size have, on their own, what they had at some time: the disk may
// have written them then, and not again since.
func (s *maker) data(i Ino) {
	unit := int64(BlockSize)
	if s.mode == Sectors {
		unit = SectorSize
	}
	var events []Event
	size := s.im.Size(i)
	sizes := []int64{size}
	touched := make(map[int64]int) // unit: by how many events
	for _, e := range s.events {
		if e.Ino != i || e.Kind != Write && e.Kind != Truncate {
			continue
		}
		events = append(events, e.Event)
		was := size
		if e.Kind == Write {
			size = max(size, e.Off+int64(len(e.Data)))
		} else {
			size = e.Off
		}
		if size != was {
			sizes = append(sizes, size)
		}
		for u := range units(e.Event, was, unit) {
			touched[u]++
		}
	}
	n := s.im.own(i)
	s.mix(n, events, touched, unit)
	switch {
	case s.mode == Single && len(touched) > 0:
		n.resize(size) // what matters is the data
	default:
		n.resize(sizes[s.r.IntN(len(sizes))])
	}
	if s.mode == Garbage {
		s.garbage(n, touched)
	}
}

// mix applies to each unit as many of the events that touch it as keep says.
// It leaves the size at its greatest.
func (s *maker) mix(n *inode, events []Event, touched map[int64]int, unit int64) {
	order := slices.Sorted(maps.Keys(touched))
	keep := s.keep(order, touched)
	greatest, size := n.size, n.size
	for _, e := range events {
		was := size
		if e.Kind == Write {
			size = max(size, e.Off+int64(len(e.Data)))
		} else {
			size = e.Off
		}
		greatest = max(greatest, size)
		for u := range units(e, was, unit) {
			if keep[u] == 0 {
				continue
			}
			keep[u]--
			from, to := max(u*unit, e.Off), (u+1)*unit
			if e.Kind == Truncate {
				n.patch(make([]byte, to-from), from)
				continue
			}
			to = min(to, e.Off+int64(len(e.Data)))
			n.patch(e.Data[from-e.Off:to-e.Off], from)
		}
	}
	n.size = greatest
}

// keep decides for each unit how many of the events that touch it arrived.
func (s *maker) keep(order []int64, touched map[int64]int) map[int64]int {
	keep := make(map[int64]int, len(order))
	if len(order) == 0 {
		return keep
	}
	if s.mode == Single {
		missing := s.r.IntN(2) == 0
		one := order[s.r.IntN(len(order))]
		for _, u := range order {
			if (u == one) != missing {
				keep[u] = touched[u]
			}
		}
		return keep
	}
	often := []float64{0.1, 0.5, 0.9}[s.r.IntN(3)] // that a unit is as new as can be
	for _, u := range order {
		if s.r.Float64() < often {
			keep[u] = touched[u]
		} else {
			keep[u] = s.r.IntN(touched[u])
		}
	}
	return keep
}

// units yields the units of a file of size was that e changes.
func units(e Event, was, unit int64) func(func(int64) bool) {
	from, to := e.Off, e.Off+int64(len(e.Data))
	if e.Kind == Truncate {
		to = was // what is cut off; nothing if the file grows
	}
	return func(yield func(int64) bool) {
		for u := from / unit; u*unit < to; u++ {
			if !yield(u) {
				return
			}
		}
	}
}

// garbage puts noise into a third of the blocks in flight: random bytes, all
// ones as in erased flash, or zeros.
func (s *maker) garbage(n *inode, touched map[int64]int) {
	for _, u := range slices.Sorted(maps.Keys(touched)) {
		if s.r.IntN(3) > 0 {
			continue
		}
		b := new([BlockSize]byte)
		switch s.r.IntN(4) {
		case 0:
		case 1:
			for i := range b {
				b[i] = 0xff
			}
		default:
			for i := 0; i < BlockSize; i += 8 {
				w := s.r.Uint64()
				for k := range 8 {
					b[i+k] = byte(w >> (8 * k))
				}
			}
		}
		if off := u * BlockSize; off < n.size {
			n.setBlock(u, b)
			if n.size < off+BlockSize {
				n.patch(make([]byte, off+BlockSize-n.size), n.size)
			}
		}
	}
}
