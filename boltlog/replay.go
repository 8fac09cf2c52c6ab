package boltlog

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// replayed is how much of the ring is in use.
type replayed struct {
	saves int // whole ones, what Close writes included
	slots int // that they take, without that of the boot
}

// spent is what they cost.
func (r replayed) spent() Spent {
	return Spent{LogBytes: uint64(r.slots) * sectorSize, Syncs: uint64(r.saves)}
}

// replay brings c up to date with the saves in all, which are the ring's slots,
// in their order, up to the first gap. What is behind a gap can only be of the
// save that was under way when the power was cut; anything else was
// acknowledged, and then it is damage. The records go to t, from which they are
// sealed.
func (r *ring) replay(all []byte, c *content, t *tail) error {
	slot := func(i int) (sector, bool) {
		s, ok := decodeSector(all[i*sectorSize:(i+1)*sectorSize], r.seed)
		return s, ok && s.slot == uint32(i)
	}
	if err := c.bootFrom(slot(bootSlot)); err != nil {
		return err
	}
	t.restart(c.ring.Last + 1)
	var save sector   // the first one of the save at hand
	var stream []byte // its payload so far
	at, end := firstSlot, uint64(0)
	for ; at < r.slots; at++ {
		s, ok := slot(at)
		if !ok || s.epoch != c.ring.Epoch || s.start != end {
			break
		}
		if s.slot == s.first {
			save, stream = s, stream[:0]
		} else if s.first != save.first || s.last != save.last {
			break
		}
		end += uint64(len(s.payload))
		stream = append(stream, s.payload...)
		if s.slot < s.last {
			continue
		}
		if err := c.apply(s.state, stream, t); err != nil {
			return fmt.Errorf("slot %d of the ring: %w", at, err)
		}
		c.replayed.saves++
		c.replayed.slots = at
	}
	for i := at; i < r.slots; i++ {
		s, ok := slot(i)
		switch {
		case !ok || s.epoch < c.ring.Epoch:
		case s.epoch > c.ring.Epoch:
			return fmt.Errorf("%w: slot %d of the ring is of epoch %d, and the newest whole transaction of epoch %d",
				ErrDamaged, i, s.epoch, c.ring.Epoch)
		case int(s.first) > at:
			return fmt.Errorf("%w: slot %d of the ring is not readable, and a later save in slot %d is", ErrDamaged, at, i)
		}
	}
	return nil
}

// bootFrom takes the number of the last boot from its sector, if that is whole.
// It is ahead of the database where opening was cut off, and where the meta page
// of that transaction was damaged since.
func (c *content) bootFrom(s sector, whole bool) error {
	if !whole || len(s.payload) != 8 {
		return nil
	}
	if s.epoch > c.ring.Epoch+1 {
		return fmt.Errorf("%w: it was opened for epoch %d, and the newest whole transaction is of epoch %d",
			ErrDamaged, s.epoch, c.ring.Epoch)
	}
	c.device.Boot = max(c.device.Boot, order.Uint64(s.payload))
	return nil
}

// apply brings c up to date with one save.
func (c *content) apply(state raft.HardState, records []byte, t *tail) error {
	for len(records) > 0 {
		r, rest, err := nextRecord(records)
		if err != nil {
			return err
		}
		records = rest
		last := c.ring.First - 1
		if n := len(c.stored.Entries); n > 0 {
			last = c.stored.Entries[n-1].Index
		}
		switch {
		case r.cut == 0 && r.entry.Index == last+1:
			c.stored.Entries = append(c.stored.Entries, r.entry)
			t.addStored(r.stored)
		case r.cut >= c.ring.First && r.cut <= last:
			c.stored.Entries = c.stored.Entries[:r.cut-c.ring.First]
			t.cut(r.cut)
		default:
			return fmt.Errorf("%w: after entry %d there is entry %d, or a cut at %d", ErrDamaged, last, r.entry.Index, r.cut)
		}
	}
	c.stored.State = state
	return nil
}
