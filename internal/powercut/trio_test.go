package powercut_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
	"github.com/edgeraft/edgeraft/raft"
)

// Three devices lose power at once: real Cores on real logs, each on a disk of its
// own, and each disk comes back in a state of its own. The network is a bag of
// messages that come in any order or not at all, and time is ticks.

const (
	trioLives = 5     // power cuts that a cluster lives through
	trioSteps = 500   // at most, until the next cut
	trioGoOn  = 20000 // at most, until a cluster without faults has a leader and commits
)

// trioDevice is a device: what of it outlives a cut, and the process.
type trioDevice struct {
	id    raft.NodeID
	rec   powercut.Recording
	child *child
	pages int
	boot  uint64

	disk  *powercut.Disk
	dir   string
	core  *raft.Core
	saves *raft.Save // handed out and not begun
	seq   uint64     // of it
	app   []string   // commands applied, in order
	owes  owed
	under map[raft.ProposalID]bool
	asked int // commands, in all lives
}

// owed is what a device has let others know of its term and vote.
type owed struct {
	term raft.Term
	vote raft.NodeID // in term
}

func (o *owed) told(m raft.Message) {
	if m.Term > o.term {
		*o = owed{term: m.Term}
	}
	switch b := m.Body.(type) {
	case raft.VoteRequest:
		o.vote = m.From
	case raft.VoteResponse:
		if b.Granted {
			o.vote = m.To
		}
	}
}

// trioBug is what is wrong in a control.
type trioBug struct {
	disks powercut.Faults
	early bool // a save is reported before it is written
}

// trio is three devices and the network.
type trio struct {
	t       testing.TB
	r       *rand.Rand
	bug     trioBug
	devices [3]*trioDevice
	net     []raft.Message
	ledger  ledger
}

// newTrio makes three devices of one cluster on disks on which nothing is in flight.
func newTrio(t testing.TB, children []*child, seed uint64, bug trioBug) (*trio, error) {
	w := &trio{t: t, r: rand.New(rand.NewPCG(seed, 4)), bug: bug}
	conf := &raft.Configuration{}
	for i := range w.devices {
		id := raft.NodeIDFrom([10]byte{byte(i + 1)})
		conf.Members = append(conf.Members, raft.Member{ID: id, Name: fmt.Sprint(i + 1), Role: raft.Voter})
		w.devices[i] = &trioDevice{
			id: id, child: children[i], pages: []int{smallRing, 6, 16}[w.r.IntN(3)],
			rec: powercut.Recording{Base: powercut.NewImage()},
		}
	}
	first := raft.Save{
		Seq: 1, State: raft.HardState{Cluster: raft.ClusterIDFrom([16]byte{1}), Term: 1, Commit: 1}, First: 1,
		Entries: []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf}},
	}
	for _, d := range w.devices {
		if _, err := d.open(t); err != nil {
			return nil, err
		}
		if _, err := d.call(request{Op: "save", Save: first}); err != nil {
			return nil, err
		}
		if err := d.off(t); err != nil {
			return nil, err
		}
		h := powercut.NewHistory(d.rec, powercut.Faults{})
		d.rec = powercut.Recording{Base: h.Cached(len(d.rec.Events))}
	}
	return w, nil
}

func (d *trioDevice) call(q request) (reply, error) {
	q.Dir, q.Pages = d.dir, d.pages
	a, err := d.child.call(q)
	if err == nil && a.Err != "" {
		err = errors.New(a.Err)
	}
	if err != nil {
		return a, fmt.Errorf("device %s: %s: %w", d.id, q.Op, err)
	}
	return a, nil
}

// open mounts the disk and has the process open the log.
func (d *trioDevice) open(t testing.TB) (raft.Stored, error) {
	d.disk, d.dir = mount(t, d.rec)
	a, err := d.call(request{Op: "open"})
	if err == nil && a.Opened.Identity.Boot <= d.boot {
		err = fmt.Errorf("device %s: boot %d is used again", d.id, d.boot)
	}
	d.boot = max(d.boot, a.Opened.Identity.Boot)
	return a.Opened.Stored, err
}

// off ends the process and keeps what was recorded of its disk until then.
func (d *trioDevice) off(t testing.TB) error {
	d.rec = d.disk.Recording()
	_, err := d.call(request{Op: "close"})
	unmount(t, d.disk)
	d.disk, d.core = nil, nil
	return err
}

// on starts a device that was off, and compares what it finds with what it owes.
func (w *trio) on(d *trioDevice) error {
	stored, err := d.open(w.t)
	if err != nil {
		return err
	}
	if err := d.keeps(stored); err != nil {
		return err
	}
	w.ledger.holds(stored)
	d.core, err = raft.New(raft.Config{
		ID: d.id, ElectionTicks: 10, HeartbeatTicks: 2, StallTicks: 60, Random: w.r.IntN, Boot: d.boot,
		ProposalBase: w.r.Uint64(), MaxTrailBytes: 1 + w.r.IntN(2000), MaxAppendBytes: 4000,
	}, stored)
	d.saves, d.app, d.under = nil, nil, map[raft.ProposalID]bool{}
	return err
}

func (d *trioDevice) keeps(stored raft.Stored) error {
	s, o := stored.State, d.owes
	if s.Term < o.term || s.Term == o.term && o.vote != "" && s.Vote != o.vote {
		return fmt.Errorf("device %s comes back with term %d and vote %q, others heard of term %d and vote %q", d.id, s.Term, s.Vote, o.term, o.vote)
	}
	return nil
}

// settle carries out what the Core wants.
func (w *trio) settle(d *trioDevice) error {
	for rd := d.core.Ready(); !rd.Empty(); rd = d.core.Ready() {
		if rd.Save != nil {
			if d.saves == nil {
				d.saves = rd.Save
			} else {
				d.saves.Merge(*rd.Save)
			}
			if w.bug.early {
				d.core.Saved(rd.Save.Seq)
			}
		}
		for _, m := range rd.Messages {
			d.owes.told(m)
		}
		w.net = append(w.net, rd.Messages...)
		if rd.Restore != nil {
			d.app = nil
			if len(rd.Restore.Data) > 0 {
				d.app = strings.Split(string(rd.Restore.Data), "\n")
			}
			if err := w.ledger.state(rd.Restore.Index, d.app); err != nil {
				return fmt.Errorf("device %s: the snapshot at %d: %w", d.id, rd.Restore.Index, err)
			}
		}
		for _, e := range rd.Committed {
			if err := w.ledger.commit(e); err != nil {
				return fmt.Errorf("device %s: %w", d.id, err)
			}
			if e.Kind == raft.EntryCommand {
				d.app = append(d.app, string(e.Data))
			}
			delete(d.under, e.ID)
		}
		for _, f := range rd.Failed {
			delete(d.under, f.ID)
		}
	}
	return nil
}

// save writes what waits for the disk. Without report it is under way still when
// the power is cut.
func (w *trio) save(d *trioDevice, report bool) error {
	s := d.saves
	if s == nil {
		return nil
	}
	d.saves = nil
	if _, err := d.call(request{Op: "save", Save: *s}); err != nil || !report {
		return err
	}
	d.core.Saved(s.Seq)
	return w.settle(d)
}

// propose has a device propose a command, unless enough are under way.
func (w *trio) propose(d *trioDevice) error {
	if len(d.under) >= 4 {
		return nil
	}
	d.asked++
	data := fmt.Sprintf("%s %d %s", d.id, d.asked, strings.Repeat("x", w.r.IntN(300)))
	if id, err := d.core.Propose([]byte(data)); err == nil {
		d.under[id] = true
	}
	return w.settle(d)
}

// step does one thing. Where lossy, messages are lost, and snapshots are taken.
func (w *trio) step(lossy bool) error {
	d := w.devices[w.r.IntN(len(w.devices))]
	switch what := w.r.IntN(100); {
	case what < 10:
		for _, d := range w.devices {
			d.core.Tick()
			if err := w.settle(d); err != nil {
				return err
			}
		}
		return nil
	case what < 70 && len(w.net) > 0:
		i := w.r.IntN(len(w.net))
		m := w.net[i]
		w.net[i] = w.net[len(w.net)-1]
		w.net = w.net[:len(w.net)-1]
		if lossy && w.r.IntN(30) == 0 {
			return nil
		}
		for _, d := range w.devices {
			if d.id == m.To {
				_ = d.core.Step(m) // what it makes of it shows
				return w.settle(d)
			}
		}
		return nil
	case what < 88:
		return w.save(d, true)
	case what < 90 && lossy:
		_ = d.core.Snapshot([]byte(strings.Join(d.app, "\n"))) // or it is too early
		return w.settle(d)
	case what < 91 && lossy: // an election, now and then
		for range 25 {
			d.core.Tick()
		}
		return w.settle(d)
	}
	return w.propose(d)
}

// cut takes the power from all at one moment. What waits for a disk may be under
// way to it, and got somewhere.
func (w *trio) cut() error {
	for _, d := range w.devices {
		from := d.disk.Len()
		if w.r.IntN(4) > 0 {
			if err := w.save(d, false); err != nil {
				return err
			}
		}
		pos := from + w.r.IntN(d.disk.Len()-from+1)
		if err := d.off(w.t); err != nil {
			return err
		}
		mode := powercut.Modes()[w.r.IntN(len(powercut.Modes()))]
		d.rec = powercut.Recording{Base: powercut.NewHistory(d.rec, w.bug.disks).State(pos, mode, w.r.Uint64())}
	}
	w.net = nil
	return nil
}

// start starts all three, and sees that a majority holds what was committed.
func (w *trio) start() error {
	w.ledger.held = 0
	var wrong error
	for _, d := range w.devices {
		wrong = errors.Join(wrong, w.on(d))
	}
	if wrong != nil {
		return wrong
	}
	if w.ledger.last() > 0 && w.ledger.held < 2 {
		return fmt.Errorf("entry %d was committed, and %d of 3 devices hold it", w.ledger.last(), w.ledger.held)
	}
	return nil
}

// goesOn has the cluster commit one more command of each device everywhere, by itself.
func (w *trio) goesOn() error {
	want := [3]int{}
	for i, d := range w.devices {
		want[i] = d.asked + 1
	}
	for range trioGoOn {
		if err := w.step(false); err != nil {
			return err
		}
		done := true
		for _, d := range w.devices {
			for i, of := range w.devices {
				done = done && w.ledger.newest[of.id] >= want[i] && len(d.app) == w.ledger.commands
			}
		}
		if done {
			return nil
		}
	}
	return errors.New("the cluster does not go on")
}

// live is a cluster's life from one cut to the next.
func (w *trio) live() error {
	if err := w.start(); err != nil {
		return err
	}
	if w.r.IntN(3) > 0 { // else it is cut off while it starts, too
		if err := w.goesOn(); err != nil {
			return err
		}
	}
	for range w.r.IntN(trioSteps) {
		if err := w.step(true); err != nil {
			return err
		}
	}
	return w.cut()
}
