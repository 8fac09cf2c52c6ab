package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/kv/kvtest"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/raft"
)

// shop is the key/value state on all nodes, with clients and their history.
type shop struct {
	c       *campaign
	history kvtest.History
	stores  map[*Node]*kv.Store
	written map[string]raft.Index // at which index each value was put: at one only
	leases  map[string]lease
	clerks  []*clerk
	limits  once.Limits
	guarded int // of a thousand keys come with since
	repeats int // commands that were recognised as repetitions
	refused int // commands whose key was forgotten, or found no room
	expired map[string]bool
}

// lease is a key with a TTL.
type lease struct {
	asked Time
	ttl   kv.TTL
	put   bool
}

// Who the clients of a shop are.
const (
	clerks     = 5
	sharedKeys = 3
	patience   = 40 // ticks
	maxTries   = 5
)

// open gives every node a key/value state.
func (s *shop) open(n *Node) App {
	store := kv.New(kv.Options{Observe: func(ch kv.Change) { s.observe(n, ch) }})
	s.stores[n] = store
	return once.NewLimited(store, s.limits)
}

// observe checks each effect: no value is put at two places in the log, and
// nothing expires too early.
func (s *shop) observe(n *Node, ch kv.Change) {
	for _, e := range ch.Events {
		switch e.Kind {
		case kv.EventPut:
			v := string(e.Value)
			if at, ok := s.written[v]; ok && at != ch.Index {
				s.c.violate("exactly once", "%v: value %q is put at %d and at %d", n, v, at, ch.Index)
			}
			s.written[v] = ch.Index
			if l, ok := s.leases[e.Key]; ok {
				l.put = true
				s.leases[e.Key] = l
			}
		case kv.EventExpire:
			l := s.leases[e.Key]
			s.expired[e.Key] = true
			if went := s.c.clock.now - l.asked; kv.TTL(went*Tick/s.c.check.times.fastest) < l.ttl {
				s.c.violate("nothing expires too early", "%v: key %q with a TTL of %d, asked for %d ago", n, e.Key, l.ttl, went)
			}
		}
	}
}

// clerk is a client that does one thing after the other, each on a node of its
// choice, and again on others until it knows what came of it.
type clerk struct {
	*shop
	id    int
	rng   *Rand
	done  int
	task  *task             // under way, nil for none
	known map[string]uint64 // the index it saw last of each key
	seen  raft.Index        // the newest index it saw
}

// task is one thing a clerk does.
type task struct {
	in      kvtest.Input
	call    int64
	command []byte
	keyed   bool
	tries   int
	unsure  bool // an earlier try may yet have an effect
	op      *Op  // the last try
}

func (s *shop) employ(rng *Rand) {
	for i := range clerks {
		k := &clerk{shop: s, id: i, rng: rng.Fork(), known: map[string]uint64{}, seen: 1}
		s.clerks = append(s.clerks, k)
		k.pause(k.begin)
	}
}

// pause lets a clerk go on after a while. What it does then gives a node an
// input, which it must not do while a node is at work.
func (k *clerk) pause(then func()) {
	k.c.clock.after(k.rng.Between(1, Time(2*k.c.profile.pace)*Tick), func() {
		if !k.c.ending {
			then()
		}
	})
}

func (k *clerk) begin() {
	k.done++
	switch k.rng.Intn(6) {
	case 0:
		k.lease()
		return
	case 1, 2:
		k.get(kvtest.Input{Kind: kvtest.Get, Key: k.key()})
		return
	}
	in := kvtest.Input{Kind: kvtest.Kind(1 + k.rng.Intn(int(kvtest.Kinds)-1)), Key: k.key(), Value: k.value()}
	in.Index = k.known[in.Key]
	command, err := in.Command()
	k.start(&task{in: in, call: k.history.Call()}, command, err)
}

func (k *clerk) key() string   { return fmt.Sprint("key", k.rng.Intn(sharedKeys)) }
func (k *clerk) value() string { return fmt.Sprintf("%d.%d", k.id, k.done) }

// lease puts a key of its own, which is to expire.
func (k *clerk) lease() {
	in := kvtest.Input{Kind: kvtest.Put, Key: "lease" + k.value(), Value: k.value()}
	ttl := kv.TTL(1 + k.rng.Intn(30*int(Tick)))
	k.leases[in.Key] = lease{asked: k.c.clock.now, ttl: ttl}
	command, err := kv.PutTTL(in.Key, []byte(in.Value), ttl, nil)
	k.start(&task{in: in, call: k.history.Call()}, command, err)
}

// start begins a change, mostly with a key, so that it can be repeated.
func (k *clerk) start(t *task, command []byte, err error) {
	k.task, t.command, t.keyed = t, command, k.rng.Chance(700)
	if t.keyed && err == nil {
		since := raft.Index(0)
		if k.rng.Chance(k.guarded) {
			since = k.seen
		}
		t.command, err = once.Command(fmt.Sprintf("clerk %d task %d", k.id, k.done), since, command)
	}
	if err != nil {
		k.c.violate("commands can be encoded", "%+v: %v", t.in, err)
		return
	}
	k.try(t)
}

// try proposes the change on some node, and gives up after a while.
func (k *clerk) try(t *task) {
	t.tries++
	op := k.c.Propose(k.rng.Intn(len(k.c.Nodes)), t.command)
	t.op = op
	if op.Outcome != Open {
		k.outcome(t, op)
		return
	}
	op.Then = func() { k.outcome(t, op) }
	k.c.clock.after(k.rng.Between(1, patience*Tick), func() { k.c.Cancel(op) })
}

// outcome notes how a try ended, and tries again where that helps.
func (k *clerk) outcome(t *task, op *Op) {
	switch op.Outcome {
	case Committed:
		if k.committed(t, op) {
			k.task = nil
			k.pause(k.begin)
			return
		}
	case Unknown:
		t.unsure = true
	}
	if t.tries < maxTries && (t.keyed || !t.unsure) && !k.c.ending {
		k.pause(func() { k.try(t) })
		return
	}
	k.abandon()
	k.pause(k.begin)
}

// abandon ends a task of which nobody will know what came.
func (k *clerk) abandon() {
	if t := k.task; t != nil && (t.unsure || t.op != nil && t.op.Outcome == Open) {
		k.history.Return(k.id, t.call, t.in, kvtest.Output{Unknown: true})
	}
	k.task = nil
}

// committed notes what a committed change tells, and reports whether that is
// the end of the task.
func (k *clerk) committed(t *task, op *Op) bool {
	k.seen = max(k.seen, op.Index)
	index, result := op.Index, op.Result
	if t.keyed {
		o, err := once.ParseOutcome(op.Result)
		switch {
		case err == nil && o.Refusal == once.Accepted:
		case err == nil && o.Refusal == once.KeyForgotten:
			k.refused++
			t.tries = maxTries // it stays so
			return false
		case err == nil && o.Refusal == once.TooManyKeys:
			k.refused++
			return false
		default:
			k.c.violate("keys are taken", "task %+v: %v: %v", t.in, o.Refusal, err)
			return false
		}
		if o.Repeated {
			k.repeats++
		}
		index, result = o.Index, o.Result
	}
	out, err := t.in.Output(index, result)
	if err != nil {
		k.c.violate("results can be read", "task %+v: %v", t.in, err)
		return false
	}
	k.history.Return(k.id, t.call, t.in, out)
	if out.Index > 0 {
		k.known[t.in.Key] = out.Index
	}
	return true
}

// get reads on some node, and gives up after a while.
func (k *clerk) get(in kvtest.Input) {
	call := k.history.Call()
	n := k.c.Nodes[k.rng.Intn(len(k.c.Nodes))]
	over := false
	next := func() {
		if !over {
			over = true
			k.pause(k.begin)
		}
	}
	if r := k.c.Read(n.Index); r != nil {
		r.Then = func() {
			if over {
				return
			}
			next()
			v, index, _ := k.stores[n].Get(in.Key)
			k.history.Return(k.id, call, in, kvtest.Output{Value: string(v), Index: uint64(index)})
			k.known[in.Key] = uint64(index)
		}
	}
	k.c.clock.after(patience*Tick, next)
}

// close ends the history and judges it. By then nothing is under way but on
// devices that were removed.
func (s *shop) close() {
	for _, k := range s.clerks {
		k.abandon()
	}
	if err := s.history.Check(); err != nil {
		s.c.violate("linearizability", "%v", err)
	}
	for _, n := range s.c.Nodes {
		if n.Up() {
			s.c.appSnapshot(n) // compared with the others
		}
	}
}

// newShop opens a shop for a run. In some the table of keys is so small that
// keys are forgotten, and in some of these it is soon full of keys that must be
// kept, so that others find no room.
func newShop(c *campaign, rng *Rand) *shop {
	s := &shop{
		c: c, stores: map[*Node]*kv.Store{}, written: map[string]raft.Index{}, leases: map[string]lease{}, expired: map[string]bool{},
		guarded: 500,
	}
	if rng.Chance(600) {
		s.limits = once.Limits{Keys: 6 + rng.Intn(30), KeepAtLeast: raft.Time(1000 * Tick)}
		s.guarded = []int{990, 1000, 1000, 1000}[rng.Intn(4)]
	}
	return s
}

// expireAll demands that everything that is to expire does, soon after its time.
func (s *shop) expireAll() {
	if s.c.Failed() != nil {
		return
	}
	due := func() bool {
		lead := s.c.Leader() // a late request may have removed the one before
		if lead == nil {
			return false
		}
		for key, l := range s.leases {
			if l.put && !s.expired[key] {
				return false
			}
		}
		_, command := s.stores[lead].Due()
		return command == nil
	}
	if !s.c.RunUntil(100, due) && s.c.Failed() == nil {
		s.c.violate("what falls due expires", "100 ticks after all went well, something that was due is still there")
	}
}
