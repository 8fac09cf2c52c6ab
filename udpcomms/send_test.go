package udpcomms

import (
	"testing"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// TestOnlySmallMessagesAreSentByTheirCaller: what goes as fragments takes a
// goroutine, which may wait for a slow interface.
func TestOnlySmallMessagesAreSentByTheirCaller(t *testing.T) {
	data := make([]byte, 16<<10)
	for _, body := range []raft.Body{
		raft.AppendRequest{Entries: []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: data}}},
		raft.Forward{Boot: 1, Proposals: []raft.ForwardedProposal{{Seq: 1, ID: 1, Data: data}}},
		raft.SnapshotRequest{Index: 1, Term: 1, Config: &raft.Configuration{Members: []raft.Member{}}, Size: uint64(len(data)), Data: data},
	} {
		m := raft.Message{From: alice, To: bob, Term: 1, Body: body}
		encoded, err := wire.AppendMessage(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if size := messageSize(m); size < len(encoded) || size <= inlineBytes {
			t.Errorf("%T of %d bytes counts as %d", body, len(encoded), size)
		}
	}
}
