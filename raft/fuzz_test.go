package raft

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// fuzzInput reads a script from bytes; at its end everything is zero.
type fuzzInput struct{ b []byte }

func (f *fuzzInput) byte() byte {
	if len(f.b) == 0 {
		return 0
	}
	v := f.b[0]
	f.b = f.b[1:]
	return v
}

func (f *fuzzInput) bool() bool { return f.byte()&1 == 1 }

// number is mostly small, sometimes near a place where arithmetic may fail.
func (f *fuzzInput) number() uint64 {
	switch v := f.byte(); {
	case v < 200:
		return uint64(v % 16)
	case v < 220:
		return 1<<64 - 1 - uint64(v-200)
	case v < 230:
		return 1<<62 - 5 + uint64(v-220)
	case v < 240:
		return 1<<32 - 5 + uint64(v-230)
	default:
		var raw [8]byte
		f.b = f.b[copy(raw[:], f.b):]
		return binary.LittleEndian.Uint64(raw[:])
	}
}

func (f *fuzzInput) id() NodeID {
	return []NodeID{idA, idB, idC, testID("d"), testID("2"), "", "no ID"}[f.byte()%7]
}

func (f *fuzzInput) entry(i Index) Entry {
	if f.byte() > 240 {
		i = Index(f.number())
	}
	e := Entry{Index: i, Term: Term(f.number()), Kind: EntryKind(f.byte() % 5), ID: ProposalID(f.number()), Time: Time(f.number())}
	if f.byte() > 200 {
		e.Config = &Configuration{}
		for range f.byte() % 4 { // unsorted, repeated, no voters: whatever
			e.Config.Members = append(e.Config.Members, Member{ID: f.id(), Role: MemberRole(f.byte() % 4)})
		}
	}
	e.Data = make([]byte, f.byte())
	return e
}

func (f *fuzzInput) entries(prev Index) []Entry {
	var es []Entry
	for range f.byte() % 5 {
		prev++
		es = append(es, f.entry(prev))
	}
	return es
}

func (f *fuzzInput) ballot() Ballot { return Ballot{Round: f.number(), Proposer: f.id()} }

// charter is any, mostly one that could be.
func (f *fuzzInput) charter() *Charter {
	switch f.byte() % 4 {
	case 0:
		return nil
	case 1:
		return &Charter{Cluster: ClusterID{f.byte()}, Config: f.entry(1).Config}
	}
	return &Charter{Cluster: testCluster, Config: voters(idA, idB)}
}

func (f *fuzzInput) body() Body {
	switch f.byte() % 26 {
	case 20:
		return FoundingPrepare{Ballot: f.ballot(), Expect: int(f.byte() % 4)}
	case 21:
		return FoundingPromise{Ballot: f.ballot(), Accepted: f.ballot(), Charter: f.charter()}
	case 22:
		return FoundingAccept{Ballot: f.ballot(), Expect: int(f.byte() % 4), Charter: f.charter()}
	case 23:
		return FoundingAccepted{Ballot: f.ballot()}
	case 24:
		return FoundingRefused{Promised: f.ballot()}
	case 25:
		return Founded{Charter: f.charter()}
	case 0:
		return PreVoteRequest{LastIndex: Index(f.number()), LastTerm: Term(f.number())}
	case 1:
		return PreVoteResponse{For: Term(f.number()), Granted: f.bool()}
	case 2:
		return VoteRequest{LastIndex: Index(f.number()), LastTerm: Term(f.number())}
	case 3:
		return VoteResponse{Granted: f.bool()}
	case 4, 5:
		prev := Index(f.number())
		return AppendRequest{PrevIndex: prev, PrevTerm: Term(f.number()), Entries: f.entries(prev), Commit: Index(f.number()), Read: f.number(), Clock: Time(f.number())}
	case 6:
		return AppendResponse{
			Match: Index(f.number()), Received: Index(f.number()), Read: f.number(), Rejected: f.bool(), Prev: Index(f.number()),
			ConflictTerm: Term(f.number()), ConflictIndex: Index(f.number()),
		}
	case 7:
		b := Forward{Boot: f.number()}
		for range f.byte() % 4 {
			b.Proposals = append(b.Proposals, ForwardedProposal{Seq: f.number(), ID: ProposalID(f.number()), Data: make([]byte, f.byte())})
		}
		return b
	case 8:
		return ForwardRefused{Boot: f.number(), Seq: f.number(), Reason: RefusalReason(f.byte())}
	case 9:
		return ReadRequest{Seq: f.number()}
	case 10:
		return ReadResponse{Seq: f.number(), Index: Index(f.number())}
	case 11:
		return Join{}
	case 12:
		return TimeoutNow{}
	case 13:
		return TransferRequest{Successor: f.id()}
	case 14:
		return Removed{Index: Index(f.number())}
	case 15:
		return ForwardChange{Boot: f.number(), Seq: f.number(), ID: ProposalID(f.number()), Change: Change{Kind: ChangeKind(f.byte() % 6), ID: f.id()}}
	case 16, 17:
		b := SnapshotRequest{
			Index: Index(f.number()), Term: Term(f.number()), ConfigIndex: Index(f.number()),
			Size: f.number(), Sum: uint32(f.number()), Offset: f.number(), Data: make([]byte, f.byte()%20), Time: Time(f.number()),
		}
		if e := f.entry(1); e.Config != nil || f.bool() {
			b.Config = e.Config
		} else {
			b.Config = voters(idA, idB)
		}
		if f.bool() {
			b.Sum = crc32.Checksum(make([]byte, min(b.Size, 100)), castagnoli)
		}
		return b
	case 18:
		return SnapshotResponse{Index: Index(f.number()), Offset: f.number()}
	}
	return nil
}

// fuzzed is a Core that gets whatever input there is.
type fuzzed struct {
	*Core
	t         *testing.T
	in        *fuzzInput
	seq       uint64
	term      Term
	commit    Index
	committed map[Index]Entry
	applied   Index // the last entry the App was given, by itself or in a snapshot
}

func (z *fuzzed) step() {
	in := z.in
	switch in.byte() % 18 {
	case 17:
		z.HearJoin(in.id(), ClusterID{in.byte() / 255}, Join{Expect: int(in.byte() % 4)})
		z.TellFounded(in.id())
		if in.byte() > 200 {
			z.HearCluster()
		}
	case 0, 1, 2, 3, 4, 5:
		m := Message{Cluster: testCluster, From: in.id(), To: idA, Body: in.body()}
		switch v := in.byte(); {
		case v < 150:
			m.Term = z.hard.Term
		case v < 200:
			m.Term = z.hard.Term + Term(v-150)
		default:
			m.Term = Term(in.number())
		}
		if in.byte() > 250 {
			m.Cluster[0]++
		}
		_ = z.Step(m)
	case 6:
		for range in.byte() % 40 {
			z.SetNow(z.clock.now + Time(in.number()>>2))
			z.Tick()
		}
	case 7:
		z.Saved(z.seq)
	case 8:
		z.Saved(in.number())
	case 9:
		_, _ = z.Propose(make([]byte, in.byte()))
	case 10:
		ch := Change{Kind: ChangeKind(in.byte() % 6), ID: in.id()}
		_ = z.ProposeChange(ch)
		_, _ = z.RequestChange(ch)
		_ = z.RequestTransfer(in.id())
	case 16:
		_ = z.Snapshot(make([]byte, in.byte()%100))
	case 11:
		z.Core.Read()
		z.Cancel(ProposalID(1000 + in.number()))
	default:
		from := []NodeID{idB, idC}[in.byte()%2]
		_ = z.Step(Message{Cluster: testCluster, From: from, To: idA, Term: z.hard.Term, Body: z.welcome()})
	}
	z.settle()
}

// welcome is what a correct member might say: without it a fuzzer would hardly
// ever get as far as a leader at work.
func (z *fuzzed) welcome() Body {
	switch part := Index(z.in.byte()); {
	case z.role == PreCandidate:
		return PreVoteResponse{For: z.hard.Term + 1, Granted: true}
	case z.role == Candidate:
		return VoteResponse{Granted: true}
	case z.role == Leader && part%8 == 0:
		return AppendResponse{Rejected: true, Prev: part % (z.log.last() + 1), ConflictTerm: Term(part % 3), ConflictIndex: part % 5}
	case z.role == Leader && part%8 == 1:
		return Forward{Boot: 1, Proposals: []ForwardedProposal{{Seq: uint64(part) / 8, ID: ProposalID(part), Data: make([]byte, part)}}}
	case z.role == Leader && part%8 == 2 && z.snap != nil:
		return SnapshotResponse{Index: z.snap.Index, Offset: uint64(part) % 100}
	case z.role == Leader:
		return AppendResponse{Match: min(z.log.last(), z.commit+part%4), Read: z.lead.round}
	case part%8 == 3:
		data := make([]byte, part%16)
		b := SnapshotRequest{
			Index: z.commit + part%16, Term: max(z.hard.Term, 1), Config: voters(idA, idB, idC), ConfigIndex: max(z.confs.index(), 1),
			Size: uint64(len(data)), Sum: crc32.Checksum(data, castagnoli),
		}
		if in := z.incoming; in != nil && in.size == b.Size {
			b.Index, b.Offset = in.index, uint64(len(in.data))
		}
		b.Data = data[b.Offset:min(b.Offset+5, b.Size)]
		return b
	default:
		prev := z.log.last() - min(z.log.last()-z.commit, part%3)
		e := Entry{Index: prev + 1, Term: z.hard.Term, Kind: EntryCommand, ID: ProposalID(part), Time: z.log.time(prev) + Time(part%4)}
		return AppendRequest{
			PrevIndex: prev, PrevTerm: z.log.term(prev), Commit: part, Read: uint64(part), Entries: []Entry{e}, Clock: e.Time + 1,
		}
	}
}

func (z *fuzzed) settle() {
	for n := 0; ; n++ {
		rd := z.Ready()
		if rd.Empty() {
			break
		}
		if n > 1000 {
			z.t.Fatal("the core never rests")
		}
		if rd.Save != nil {
			z.seq = rd.Save.Seq
		}
		if s := rd.Restore; s != nil {
			if s.Index <= z.applied {
				z.t.Fatalf("the App goes back to %d from %d", s.Index, z.applied)
			}
			z.applied = s.Index
		}
		for _, e := range rd.Committed {
			if z.applied++; e.Index != z.applied {
				z.t.Fatalf("entry %d is applied where %d is next", e.Index, z.applied)
			}
		}
	}
	z.check()
}

func (z *fuzzed) check() {
	s := z.Status()
	if s.Term < z.term || s.Commit < z.commit || s.Commit > s.Last || s.Stable > s.Last || s.Applied > s.Commit {
		z.t.Fatalf("term %d after %d, commit %d after %d, last %d, stable %d, applied %d", s.Term, z.term, s.Commit, z.commit, s.Last, s.Stable, s.Applied)
	}
	if z.verified > s.Last || z.log.handed > s.Last || z.log.unsaved < 0 || z.log.bytes < 0 || z.lead.pending < 0 {
		z.t.Fatalf("verified %d, handed %d, last %d, %d bytes, %d unsaved, %d pending", z.verified, z.log.handed, s.Last, z.log.bytes, z.log.unsaved, z.lead.pending)
	}
	for i, e := range z.committed {
		if have, ok := z.Entry(i); ok && (have.Term != e.Term || have.ID != e.ID) {
			z.t.Fatalf("committed entry %d changed", i)
		}
	}
	if s.First > s.Snapshot+1 || s.Snapshot > s.Applied || z.incoming != nil && len(z.incoming.data) > z.cfg.MaxSnapshotBytes {
		z.t.Fatalf("first %d, snapshot %d, applied %d", s.First, s.Snapshot, s.Applied)
	}
	for _, p := range z.lead.peers {
		if p.sending != nil && p.sent > len(p.sending.Data) || p.next == 0 {
			z.t.Fatalf("%+v", p)
		}
	}
	for i := max(z.commit+1, s.First); i <= s.Commit; i++ {
		z.committed[i], _ = z.Entry(i)
	}
	z.term, z.commit = s.Term, s.Commit
	if len(z.founding.heard) > MaxMembers || len(z.founding.attempt.promises) > MaxMembers+1 || len(z.votes) > MaxMembers || len(z.store.held) > maxWithheld || len(z.lead.reads) > z.cfg.MaxPendingReads {
		z.t.Fatal("a bound does not hold")
	}
	if now := z.ClusterTime(); now > maxTime || now < z.log.lastTime() {
		z.t.Fatalf("cluster time %d, the last entry is of %d", now, z.log.lastTime())
	}
	if z.TicksUntilWork() < 1 {
		z.t.Fatal("never sleeps")
	}
}

func runFuzz(t *testing.T, script []byte) {
	in := &fuzzInput{script}
	start := Stored{State: HardState{Cluster: testCluster, Term: 1, Commit: 1}}
	conf := [...]*Configuration{voters(idA), voters(idA, idB), voters(idA, idB, idC), voters(idB, idC)}[in.byte()%4]
	start.Entries = []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: conf}}
	if in.byte() > 230 {
		start = Stored{}
	}
	expect := 0
	if start.State.Cluster.IsZero() {
		expect = 2
	}
	cfg := Config{
		Founding: FoundingConfig{Expect: expect, MaxVoters: 3},
		ID:       idA, ElectionTicks: 10, HeartbeatTicks: 2, Boot: 1, ProposalBase: 1000, Random: func(n int) int { return int(in.byte()) % n },
		MaxUnsavedBytes: 2000, MaxPendingBytes: 2000, MaxInflight: 3, MaxAppendBytes: 500, MaxApplyBytes: 300, MaxProposals: 5, MaxPendingReads: 4, MaxForwardWindow: 4,
		MaxSnapshotBytes: 90, MaxSnapshotRate: 40, MaxTrailBytes: 300,
	}
	core, err := New(cfg, start)
	if err != nil {
		t.Fatal(err)
	}
	z := &fuzzed{Core: core, t: t, in: in, committed: map[Index]Entry{}}
	for len(in.b) > 0 {
		z.step()
	}
	if s := (Stored{State: z.hard, Snapshot: z.snap, Entries: z.log.entries}); len(s.Entries) > 0 || z.snap != nil {
		if _, err := New(cfg, s); err != nil {
			t.Fatalf("it could not start again: %v", err)
		}
	}
}

// FuzzStep: whatever arrives, from whomever, in whatever order: no panic, the
// term and the commit index never fall, what is committed never changes, and
// every bound holds.
func FuzzStep(f *testing.F) {
	f.Add([]byte{})
	f.Fuzz(runFuzz)
}

// TestStepWithArbitraryInput is a fixed portion of FuzzStep for every run.
func TestStepWithArbitraryInput(t *testing.T) {
	for seed := range uint64(5000) {
		script := make([]byte, 400)
		state := seed
		for i := 0; i < len(script); i += 8 {
			state += 0x9e3779b97f4a7c15
			z := state
			z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
			z = (z ^ z>>27) * 0x94d049bb133111eb
			binary.LittleEndian.PutUint64(script[i:], z^z>>31)
		}
		runFuzz(t, script)
	}
}
