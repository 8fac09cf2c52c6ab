package kv

import "github.com/edgeraft/edgeraft/raft"

// Apply takes the next committed entry, of any kind, in order of index, and
// returns its result: JSON of a Result for an operation on keys and for what
// cannot be read, nil for everything else. It never fails.
func (s *Store) Apply(e raft.Entry) []byte {
	change := Change{Index: e.Index, Term: e.Term}
	var result []byte
	s.mu.Lock()
	s.applied = e.Index
	change.Events = s.expireBefore(e.Time)
	if e.Kind == raft.EntryCommand {
		var events []Event
		if events, result = s.applyCommand(e); change.Events == nil {
			change.Events = events
		} else {
			change.Events = append(change.Events, events...)
		}
	}
	s.mu.Unlock()
	s.observe(change)
	return result
}

// applyCommand carries out a command. The caller holds mu.
func (s *Store) applyCommand(e raft.Entry) ([]Event, []byte) {
	opaque, r, err := decode(e.Data)
	switch {
	case err != nil:
		// It is committed, so every device must do the same with it: nothing.
		s.malformed++
		return nil, Result{Outcome: Malformed}.json()
	case opaque != nil:
		return []Event{{Kind: EventCommand, Value: opaque}}, nil
	case r.Kind == opExpire:
		return nil, nil
	}
	var events []Event
	var result Result
	if r.Kind == opTxn {
		events, result = s.applyTxn(&r, e)
	} else {
		events, result = s.applyOne(&r, e)
	}
	return events, result.json()
}

func (s *Store) applyOne(r *record, e raft.Entry) ([]Event, Result) {
	it, there := s.items[r.Key]
	if r.IfIndex != nil && uint64(it.index) != *r.IfIndex {
		return nil, Result{Outcome: CompareFailed, Index: uint64(it.index)}
	}
	if r.Kind == OpDelete && !there {
		return nil, Result{Outcome: Absent}
	}
	ops := []Operation{{Kind: r.Kind, Key: r.Key, Value: r.Value, TTL: r.TTL}}
	if !s.fits(ops) {
		return nil, Result{Outcome: StateFull}
	}
	return s.perform(ops, e), Result{Outcome: Done}
}

func (s *Store) applyTxn(r *record, e raft.Entry) ([]Event, Result) {
	held := true
	for i := range r.Compare {
		if uint64(s.items[r.Compare[i].Key].index) != r.Compare[i].Index {
			held = false
			break
		}
	}
	ops := r.Then
	if !held {
		ops = r.Else
	}
	if !s.fits(ops) {
		return nil, Result{Outcome: StateFull, Held: held}
	}
	return s.perform(ops, e), Result{Outcome: Done, Held: held}
}

// fits reports whether the state may be as large as ops would leave it. What
// does not make it larger always may.
func (s *Store) fits(ops []Operation) bool {
	after := make(map[string]int, len(ops)) // what each key costs in the end
	for i := range ops {
		after[ops[i].Key] = 0
		if ops[i].Kind == OpPut {
			after[ops[i].Key] = cost(ops[i].Key, ops[i].Value, ops[i].TTL != 0)
		}
	}
	total := s.bytes
	for key, n := range after {
		total += n
		if it, there := s.items[key]; there {
			total -= it.cost(key)
		}
	}
	return total <= MaxStateBytes || total <= s.bytes
}

// perform carries ops out, in order, and returns what changed. Removing an
// absent key changes nothing.
func (s *Store) perform(ops []Operation, e raft.Entry) []Event {
	events := make([]Event, 0, len(ops))
	for i := range ops {
		op := &ops[i]
		switch _, there := s.items[op.Key]; {
		case op.Kind == OpPut:
			s.set(op.Key, item{value: op.Value, index: e.Index, deadline: deadlineOf(e.Time, op.TTL)})
			events = append(events, Event{Kind: EventPut, Key: op.Key, Value: op.Value})
		case there:
			s.remove(op.Key)
			events = append(events, Event{Kind: EventDelete, Key: op.Key})
		}
	}
	return events
}

// set gives a key its value, whatever it had.
func (s *Store) set(key string, it item) {
	if old, there := s.items[key]; there {
		s.bytes -= old.cost(key)
		s.deadlines.remove(old.deadline, key)
	} else {
		s.order.insert(key)
	}
	s.items[key] = it
	s.bytes += it.cost(key)
	s.deadlines.insert(it.deadline, key)
}

// remove takes out a key that is there.
func (s *Store) remove(key string) {
	old := s.items[key]
	s.bytes -= old.cost(key)
	s.deadlines.remove(old.deadline, key)
	s.order.remove(key)
	delete(s.items, key)
}
