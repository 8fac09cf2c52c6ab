package kv

import "github.com/edgeraft/edgeraft/raft"

// Apply takes the next committed entry, of any kind, in order of index, and
// returns its result: JSON of a Result for an operation on keys and for what
// cannot be read, nil for everything else. It never fails.
func (s *Store) Apply(e raft.Entry) []byte {
	change := Change{Index: e.Index, Term: e.Term}
	var result []byte
	if e.Kind == raft.EntryCommand {
		change.Events, result = s.applyCommand(e)
	} else {
		s.mu.Lock()
		s.applied = e.Index
		s.mu.Unlock()
	}
	s.observe(change)
	return result
}

func (s *Store) applyCommand(e raft.Entry) ([]Event, []byte) {
	opaque, r, err := decode(e.Data)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.applied = e.Index
	if err != nil {
		// It is committed, so every device must do the same with it: nothing.
		s.malformed++
		return nil, Result{Outcome: Malformed}.json()
	}
	if opaque != nil {
		return []Event{{Kind: EventCommand, Value: opaque}}, nil
	}
	if r.Kind == opTxn {
		events, result := s.applyTxn(&r, e.Index)
		return events, result.json()
	}
	events, result := s.applyOne(&r, e.Index)
	return events, result.json()
}

func (s *Store) applyOne(r *record, at raft.Index) ([]Event, Result) {
	it, there := s.items[r.Key]
	if r.IfIndex != nil && uint64(it.index) != *r.IfIndex {
		return nil, Result{Outcome: CompareFailed, Index: uint64(it.index)}
	}
	if r.Kind == OpDelete && !there {
		return nil, Result{Outcome: Absent}
	}
	ops := []Operation{{Kind: r.Kind, Key: r.Key, Value: r.Value}}
	if !s.fits(ops) {
		return nil, Result{Outcome: StateFull}
	}
	return s.perform(ops, at), Result{Outcome: Done}
}

func (s *Store) applyTxn(r *record, at raft.Index) ([]Event, Result) {
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
	return s.perform(ops, at), Result{Outcome: Done, Held: held}
}

// fits reports whether the state may be as large as ops would leave it. What
// does not make it larger always may.
func (s *Store) fits(ops []Operation) bool {
	after := make(map[string]int, len(ops)) // what each key costs in the end
	for i := range ops {
		after[ops[i].Key] = 0
		if ops[i].Kind == OpPut {
			after[ops[i].Key] = cost(ops[i].Key, ops[i].Value)
		}
	}
	total := s.bytes
	for key, n := range after {
		total += n
		if it, there := s.items[key]; there {
			total -= cost(key, it.value)
		}
	}
	return total <= MaxStateBytes || total <= s.bytes
}

// perform carries ops out, in order, and returns what changed. Removing an
// absent key changes nothing.
func (s *Store) perform(ops []Operation, at raft.Index) []Event {
	events := make([]Event, 0, len(ops))
	for i := range ops {
		op := &ops[i]
		old, there := s.items[op.Key]
		if there {
			s.bytes -= cost(op.Key, old.value)
		}
		switch {
		case op.Kind == OpPut:
			s.items[op.Key] = item{value: op.Value, index: at}
			s.bytes += cost(op.Key, op.Value)
			if !there {
				s.order.insert(op.Key)
			}
			events = append(events, Event{Kind: EventPut, Key: op.Key, Value: op.Value})
		case there:
			delete(s.items, op.Key)
			s.order.remove(op.Key)
			events = append(events, Event{Kind: EventDelete, Key: op.Key})
		}
	}
	return events
}

// Due is for what expires by cluster time: nothing does.
func (s *Store) Due() (raft.Time, []byte) { return 0, nil }
