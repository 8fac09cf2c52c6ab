package agent

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// Of two rotations that were begun at once neither ends while the other goes
// elsewhere: else each device could drop the key that the other keeps.
func TestTwoRotationsAtOnce(t *testing.T) {
	old, one, two := seal.NewKey(), seal.NewKey(), seal.NewKey()
	ids := []raft.NodeID{raft.NodeIDFrom([10]byte{1}), raft.NodeIDFrom([10]byte{2})}
	var devices []*device
	for i := range ids {
		s, err := seal.New(old, "home", ids[i], 1)
		if err != nil {
			t.Fatal(err)
		}
		devices = append(devices, &device{self: ids[i], keys: newKeyRing(seal.Ring{}, []sealedPath{{sealer: s}})})
	}
	sealer := func(i int) *seal.Sealer { return devices[i].keys.paths[0].sealer }
	tell := func(from int, keys ...seal.Key) {
		t.Helper()
		ring, err := seal.NewRing(keys...)
		if err == nil {
			err = devices[from].keys.set(ring)
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 20 { // each by any key
			packet, err := sealer(from).Report(ids[1-from], false)
			if err != nil {
				t.Fatal(err)
			}
			for in := sealer(1-from).Receive(packet, netip.AddrPort{}); in.Reply != nil; {
				in = sealer(1-from).Receive(sealer(from).Receive(in.Reply, netip.AddrPort{}).Reply, netip.AddrPort{})
			}
		}
	}
	want := func(when string, i int, has bool) {
		t.Helper()
		if got := devices[i].hasPreferred(ids[1-i]); got != has {
			t.Errorf("%s: device %d thinks that the other is ready: %v", when, i, got)
		}
	}
	tell(0, two, one, old)
	tell(1, one, two, old)
	tell(0, two, one, old)
	want("both have both", 0, false)
	want("both have both", 1, false)
	tell(1, two, one, old)
	want("one gave way", 0, true)
	want("one gave way", 1, true)
}

func TestKeyWarnings(t *testing.T) {
	behind := []api.MemberKeys{{ID: "bbbbbbbbbbbbbbbb", Name: "pi2"}}
	for name, c := range map[string]struct {
		keys api.Keys
		want string // part of the first warning and of what to do
	}{
		"one key":          {api.Keys{Preferred: "1"}, ""},
		"waiting":          {api.Keys{Preferred: "2", Older: []string{"1"}, Waiting: behind}, "pi2 (bbbbbbbb).edgeraft join --add"},
		"all have it":      {api.Keys{Preferred: "2", Older: []string{"1"}}, "still accepted here.edgeraft keygen --drop-old"},
		"this one has not": {api.Keys{Preferred: "1", Ahead: behind}, "this device lacks: pi2 (bbbbbbbb).edgeraft join --add"},
	} {
		ws := keyWarnings(c.keys)
		if len(ws) == 0 && c.want == "" {
			continue
		}
		if len(ws) != 1 || !strings.Contains(ws[0].Message+ws[0].Next, c.want) {
			t.Errorf("%s: %+v, want %q", name, ws, c.want)
		}
	}
}
