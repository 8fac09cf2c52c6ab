package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// doHear lets a node hear that another is blank, as the driver of it says.
func (w *world) doHear(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	who, err := w.nodeNamed(args[1])
	if err != nil {
		return err
	}
	w.event(n, func() {
		join := raft.Message{From: who.ID, To: n.ID, Body: raft.Join{Name: who.String(), Expect: w.opts.Expect}}
		w.joining(n, join)
	})
	return nil
}

// kindOfFounding is kindOf for what blank devices say, "" for all else.
func kindOfFounding(body raft.Body) string {
	switch body.(type) {
	case raft.Join:
		return "join"
	case raft.JoinAnswer:
		return "join-answer"
	case raft.FoundingPrepare:
		return "prepare"
	case raft.FoundingPromise:
		return "promise"
	case raft.FoundingAccept:
		return "accept"
	case raft.FoundingAccepted:
		return "accepted"
	case raft.FoundingRefused:
		return "refused"
	case raft.Founded:
		return "founded"
	}
	return ""
}

// tellFounding is tellBody for those.
func tellFounding(body raft.Body) string {
	switch b := body.(type) {
	case raft.FoundingPrepare:
		return " " + tellBallot(b.Ballot)
	case raft.FoundingPromise:
		if b.Charter != nil {
			return fmt.Sprintf(" %s, accepted in %s: %s", tellBallot(b.Ballot), tellBallot(b.Accepted), tellCharter(b.Charter))
		}
		return " " + tellBallot(b.Ballot)
	case raft.FoundingAccept:
		return fmt.Sprintf(" %s: %s", tellBallot(b.Ballot), tellCharter(b.Charter))
	case raft.FoundingAccepted:
		return " " + tellBallot(b.Ballot)
	case raft.FoundingRefused:
		return ", promised " + tellBallot(b.Promised)
	case raft.Founded:
		return ": " + tellCharter(b.Charter)
	}
	return ""
}

func tellBallot(b raft.Ballot) string { return fmt.Sprintf("%d.%s", b.Round, nodeName(b.Proposer)) }

func tellCharter(h *raft.Charter) string { return "{" + tellMembers(h.Config) + "}" }

// tellPromise is what a save holds of a founding.
func tellPromise(f *raft.Founding) string {
	switch {
	case f.IsZero():
		return ", nothing promised any more"
	case f.Charter != nil:
		return fmt.Sprintf(", promised %s, accepted in %s: %s", tellBallot(f.Promised), tellBallot(f.Accepted), tellCharter(f.Charter))
	}
	return ", promised " + tellBallot(f.Promised)
}
