package wire

import (
	"bytes"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	alice = raft.NodeID("aaaaaaaaaaaaaaaa")
	bob   = raft.NodeID("bbbbbbbbbbbbbbb2")
	carol = raft.NodeID("ccccccccccccccc7")
)

var cluster = raft.ClusterIDFrom([16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})

type messageSample struct {
	name string
	m    raft.Message
}

// messageSamples has every kind of body, with every field set, and the
// smallest forms. Their bytes are in testdata/v1.txt: add to them, never
// change one.
func messageSamples() []messageSample {
	from := func(term raft.Term, b raft.Body) raft.Message {
		return raft.Message{Cluster: cluster, From: alice, To: bob, Term: term, Body: b}
	}
	return []messageSample{
		{"pre-vote-request", from(7, raft.PreVoteRequest{LastIndex: 300, LastTerm: 6})},
		{"pre-vote-response", from(7, raft.PreVoteResponse{For: 8, Granted: true})},
		{"vote-request", from(8, raft.VoteRequest{LastIndex: 300, LastTerm: 6})},
		{"vote-response", from(8, raft.VoteResponse{Granted: true})},
		{"vote-response-denied", from(8, raft.VoteResponse{})},
		{"heartbeat", from(8, raft.AppendRequest{PrevIndex: 300, PrevTerm: 6, Commit: 299, Read: 5})},
		{"append-request", from(8, raft.AppendRequest{PrevIndex: 6, PrevTerm: 6, Entries: entrySamples(), Commit: 6, Read: 1 << 40})},
		{"heartbeat-with-clock", from(8, raft.AppendRequest{PrevIndex: 300, PrevTerm: 6, Commit: 299, Read: 5, Clock: 1 << 41})},
		{"append-request-with-times", from(8, raft.AppendRequest{PrevIndex: 6, PrevTerm: 6, Entries: stamped(entrySamples()), Commit: 6, Clock: 1<<41 + 7})},
		{"snapshot-request-with-time", from(8, raft.SnapshotRequest{Index: 1, Term: 1, Time: 1 << 41, ConfigIndex: 1, Config: &raft.Configuration{Members: []raft.Member{}}})},
		{"append-response", from(8, raft.AppendResponse{Match: 301, Read: 5})},
		{"vote-request-transfer", from(8, raft.VoteRequest{LastIndex: 300, LastTerm: 6, Transfer: true})},
		{"forward-change", from(8, raft.ForwardChange{Boot: 3, Seq: 10, ID: 1 << 63, Change: raft.Change{Kind: raft.AddLearner, ID: "cccccccccccccc67", Name: "küche"}})},
		{"forward-change-remove", from(8, raft.ForwardChange{Boot: 3, Seq: 11, Change: raft.Change{Kind: raft.Remove, ID: "cccccccccccccc67"}})},
		{"transfer-request", from(8, raft.TransferRequest{Successor: "cccccccccccccc67"})},
		{"transfer-request-any", from(8, raft.TransferRequest{})},
		{"removed", from(8, raft.Removed{Index: 300})},
		{"snapshot-request", from(8, raft.SnapshotRequest{Index: 300, Term: 6, ConfigIndex: 10, Size: 70000, Sum: 0xdeadbeef, Offset: 65536, Data: []byte("piece"),
			Config: &raft.Configuration{Members: []raft.Member{{ID: alice, Name: "küche", Role: raft.Voter}}}})},
		{"snapshot-request-empty", from(8, raft.SnapshotRequest{Index: 1, Term: 1, ConfigIndex: 1, Config: &raft.Configuration{Members: []raft.Member{}}})},
		{"snapshot-response", from(8, raft.SnapshotResponse{Index: 300, Offset: 65541})},
		{"timeout-now", from(8, raft.TimeoutNow{})},
		{"append-received", from(8, raft.AppendResponse{Match: 301, Received: 333})},
		{"append-response-slow-disk", from(8, raft.AppendResponse{Match: 299, Read: 5, Received: 301})},
		{"append-response-short", from(8, raft.AppendResponse{Match: 299, Short: true})},
		{"append-rejected", from(8, raft.AppendResponse{Match: 1, Read: 5, Rejected: true, Prev: 300, ConflictTerm: 5, ConflictIndex: 250})},
		{"forward", from(8, raft.Forward{Boot: 3, Proposals: []raft.ForwardedProposal{
			{Seq: 1, ID: 1 << 63, Data: []byte("one")}, {Seq: 2, ID: 9},
		}})},
		{"forward-empty", from(8, raft.Forward{Boot: 3})},
		{"forward-refused", from(8, raft.ForwardRefused{Boot: 3, Seq: 2, Reason: raft.RefusedLogFull})},
		{"forward-refused-disk-full", from(8, raft.ForwardRefused{Boot: 3, Seq: 2, Reason: raft.RefusedDiskFull})},
		{"read-request", from(8, raft.ReadRequest{Seq: 11})},
		{"read-response", from(8, raft.ReadResponse{Seq: 11, Index: 301})},
		{"join", raft.Message{From: carol, Body: raft.Join{Name: "küche"}}},
		{"join-to", raft.Message{Cluster: cluster, From: carol, To: alice, Body: raft.Join{Name: "pi"}}},
		{"join-member", raft.Message{Cluster: cluster, From: carol, Body: raft.Join{Name: "pi", Member: true}}},
		{"join-replacing", raft.Message{Cluster: cluster, From: carol, Body: raft.Join{Name: "pi", Member: true, Replaces: bob}}},
		{"join-expecting", raft.Message{From: carol, Body: raft.Join{Name: "pi", Expect: 3}}},
		{"join-run", raft.Message{Cluster: cluster, From: carol, Level: 2, Body: raft.Join{Name: "pi", Member: true, Run: raft.Run{Boot: 7, Session: 1 << 60}, Version: "1.2.3"}}},
		{"join-answer-known", from(0, raft.JoinAnswer{Leader: carol, Run: raft.Run{Boot: 8, Session: 9}, Version: "1.2.3", Known: raft.Run{Boot: 7, Session: 1 << 61}})},
		{"heartbeat-cluster-level", from(8, raft.AppendRequest{PrevIndex: 300, PrevTerm: 6, Commit: 299, Level: 2})},
		{"heartbeat-wall", raft.Message{Cluster: cluster, From: alice, To: bob, Term: 8, Level: 2, Wall: 1_795_891_200, Body: raft.AppendRequest{PrevIndex: 300, PrevTerm: 6, Commit: 299}}},
		{"heartbeat-level", raft.Message{Cluster: cluster, From: alice, To: bob, Term: 8, Level: 2, Body: raft.AppendRequest{PrevIndex: 300, PrevTerm: 6, Commit: 299}}},
		{"founding-prepare", blank(raft.FoundingPrepare{Ballot: raft.Ballot{Round: 7, Proposer: alice}, Expect: 3})},
		{"founding-promise", blank(raft.FoundingPromise{Ballot: raft.Ballot{Round: 7, Proposer: bob}, Name: "küche"})},
		{"founding-promise-accepted", blank(raft.FoundingPromise{
			Ballot: raft.Ballot{Round: 7, Proposer: bob}, Accepted: raft.Ballot{Round: 1 << 40, Proposer: carol}, Charter: charterSample(), Name: "küche"})},
		{"founding-accept", blank(raft.FoundingAccept{Ballot: raft.Ballot{Round: 7, Proposer: alice}, Expect: 3, Charter: charterSample()})},
		{"founding-accepted", blank(raft.FoundingAccepted{Ballot: raft.Ballot{Round: 7, Proposer: bob}})},
		{"founding-refused", blank(raft.FoundingRefused{Promised: raft.Ballot{Round: 8, Proposer: carol}})},
		{"founded", from(0, raft.Founded{Charter: charterSample()})},
		{"join-answer", from(0, raft.JoinAnswer{Leader: carol, Reason: "a change is pending"})},
		{"join-answer-empty", raft.Message{From: alice, To: carol, Body: raft.JoinAnswer{}}},
	}
}

// blank is a message from one device without a cluster to another.
func blank(b raft.Body) raft.Message { return raft.Message{From: alice, To: bob, Body: b} }

func charterSample() *raft.Charter {
	return &raft.Charter{Cluster: cluster, Config: &raft.Configuration{Members: []raft.Member{
		{ID: alice, Name: "küche", Role: raft.Voter},
		{ID: bob, Role: raft.Learner},
	}}}
}

// foundingSamples are what a blank device may have stored.
func foundingSamples() []raft.Founding {
	return []raft.Founding{
		{},
		{Promised: raft.Ballot{Round: 7, Proposer: bob}},
		{Promised: raft.Ballot{Round: 8, Proposer: bob}, Accepted: raft.Ballot{Round: 7, Proposer: alice}, Charter: charterSample()},
	}
}

// entrySamples has every kind of entry, contiguous from 7, terms up to 8.
func entrySamples() []raft.Entry {
	return []raft.Entry{
		{Index: 7, Term: 7, Kind: raft.EntryNoOp},
		{Index: 8, Term: 7, Kind: raft.EntryCommand, ID: 1 << 63, Data: []byte("hello")},
		{Index: 9, Term: 8, Kind: raft.EntryCommand},
		{Index: 10, Term: 8, Kind: raft.EntryConfig, ID: 12, Config: &raft.Configuration{Members: []raft.Member{
			{ID: alice, Name: "küche", Role: raft.Voter},
			{ID: bob, Role: raft.Learner},
		}}},
	}
}

// stamped gives the entries times that increase.
func stamped(es []raft.Entry) []raft.Entry {
	for i := range es {
		es[i].Time = 1<<41 + raft.Time(2*i)
	}
	return es
}

func stateSamples() []raft.HardState {
	return []raft.HardState{
		{},
		{Cluster: cluster, Term: 8, Vote: bob, Commit: 300},
		{Term: 1 << 63, Commit: 1<<64 - 1},
	}
}

// sixteen is the request of the benchmark: 16 commands of 64 bytes.
func sixteen() raft.Message {
	b := raft.AppendRequest{PrevIndex: 1234566, PrevTerm: 42, Commit: 1234560, Read: 77}
	for i := range raft.Index(16) {
		b.Entries = append(b.Entries, raft.Entry{
			Index: b.PrevIndex + 1 + i, Term: 42, Kind: raft.EntryCommand,
			ID: raft.ProposalID(1<<60 + i), Data: bytes.Repeat([]byte{byte(i)}, 64),
		})
	}
	return raft.Message{Cluster: cluster, From: alice, To: bob, Term: 42, Body: b}
}
