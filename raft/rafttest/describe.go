package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// describe says in a few words what a message is.
func describe(m raft.Message) string {
	what := ""
	switch b := m.Body.(type) {
	case raft.PreVoteRequest:
		what = fmt.Sprintf("PreVoteRequest last %d/%d", b.LastIndex, b.LastTerm)
	case raft.PreVoteResponse:
		what = fmt.Sprintf("PreVoteResponse for %d %v", b.For, b.Granted)
	case raft.VoteRequest:
		what = fmt.Sprintf("VoteRequest last %d/%d", b.LastIndex, b.LastTerm)
	case raft.VoteResponse:
		what = fmt.Sprintf("VoteResponse %v", b.Granted)
	case raft.AppendRequest:
		what = fmt.Sprintf("Append prev %d/%d +%d commit %d read %d", b.PrevIndex, b.PrevTerm, len(b.Entries), b.Commit, b.Read)
	case raft.AppendResponse:
		what = fmt.Sprintf("AppendResponse match %d received %d read %d", b.Match, b.Received, b.Read)
		if b.Rejected {
			what += fmt.Sprintf(" REJECTS %d: conflict %d/%d", b.Prev, b.ConflictIndex, b.ConflictTerm)
		}
	case raft.Forward:
		what = fmt.Sprintf("Forward %d", len(b.Proposals))
		if len(b.Proposals) > 0 {
			what += fmt.Sprintf(" from number %d", b.Proposals[0].Seq)
		}
	case raft.SnapshotRequest:
		what = fmt.Sprintf("Snapshot %d/%d bytes %d+%d of %d", b.Index, b.Term, b.Offset, len(b.Data), b.Size)
	case raft.FoundingPromise:
		what = fmt.Sprintf("FoundingPromise %v accepted %v %s", b.Ballot, b.Accepted, charterText(b.Charter))
	case raft.FoundingAccept:
		what = fmt.Sprintf("FoundingAccept %v %s", b.Ballot, charterText(b.Charter))
	case raft.Founded:
		what = "Founded " + charterText(b.Charter)
	default:
		what = fmt.Sprintf("%T%+v", m.Body, m.Body)
	}
	return fmt.Sprintf("[t%d %s]", m.Term, what)
}
