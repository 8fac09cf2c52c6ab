package udpcomms

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// Files of this release must be read by later ones.
const goldenBook = `{"version":1,"devices":[
{"id":"aliceaaaaaaaaaaa","addresses":["[fe80::1%eth0]:7521","10.0.0.1:7521"]},
{"id":"bobbbbbbbbbbbbbb","addresses":["[fd77::2]:7521"]}
]}
`

func everyone(raft.NodeID) bool { return true }

func TestBookKeepsItsForm(t *testing.T) {
	b, err := ParseBook([]byte(goldenBook))
	if err != nil || len(b) != 2 || b[0].Addrs[0] != netip.MustParseAddrPort("[fe80::1%eth0]:7521") {
		t.Fatalf("%v, %v", b, err)
	}
	if got := b.Encode(); string(got) != goldenBook {
		t.Errorf("encoded as %s", got)
	}
	if empty, err := ParseBook(Book(nil).Encode()); err != nil || len(empty) != 0 {
		t.Errorf("an empty one: %v, %v", empty, err)
	}
}

func TestBookIgnoresWhatMakesNoSense(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "half": goldenBook[:40], "zeros": strings.Repeat("\x00", 4096), "another version": `{"version":2,"devices":[]}`,
		"endless": goldenBook + strings.Repeat(" ", maxBook),
	} {
		if b, err := ParseBook([]byte(text)); err == nil {
			t.Errorf("%s: %v", name, b)
		}
	}
	text := `{"version":1,"devices":[{"id":"bad","addresses":["1.2.3.4:5"]},{"id":"aliceaaaaaaaaaaa","addresses":["0.0.0.0:1","224.0.0.1:5","x","1.2.3.4:0"]},
		{"id":"bobbbbbbbbbbbbbb","addresses":["1.2.3.4:5","1.2.3.4:5","[::ffff:1.2.3.4]:5","1.1.1.1:1","2.2.2.2:2","3.3.3.3:3","4.4.4.4:4"]},{"id":"bobbbbbbbbbbbbbb","addresses":["9.9.9.9:9"]}]}`
	b, err := ParseBook([]byte(text))
	if err != nil || len(b) != 1 || len(b[0].Addrs) != maxKept || b[0].ID != bob {
		t.Errorf("%v, %v", b, err)
	}
	var many []string
	for i := range 3 * maxPeers {
		many = append(many, fmt.Sprintf(`{"id":%q,"addresses":["1.2.3.4:5"]}`, raft.NodeIDFrom([10]byte{byte(i >> 8), byte(i), 1})))
	}
	if b, err := ParseBook([]byte(`{"version":1,"devices":[` + strings.Join(many, ",") + `]}`)); err != nil || len(b) != maxPeers {
		t.Errorf("%d devices, %v", len(b), err)
	}
}

// Only a new address is worth a write: a device that goes to and fro between two
// is none, and the last ones are kept.
func TestBookChanges(t *testing.T) {
	at := func(id raft.NodeID, addr string) Peer { return Peer{ID: id, Addr: netip.MustParseAddrPort(addr)} }
	b, changed := Book(nil).With([]Peer{at(alice, "10.0.0.1:1"), {ID: bob}}, everyone)
	if !changed || len(b) != 1 {
		t.Fatalf("%v, %v", b, changed)
	}
	if b, changed = b.With([]Peer{at(alice, "10.0.0.2:1")}, everyone); !changed {
		t.Error("a new address is no change")
	}
	for _, addr := range []string{"10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"} {
		if b, changed = b.With([]Peer{at(alice, addr)}, everyone); changed {
			t.Errorf("%s again is a change", addr)
		}
	}
	if b, changed = b.With(nil, everyone); changed || len(b) != 1 || len(b[0].Addrs) != 2 {
		t.Errorf("a device that is not heard: %v, %v", b, changed)
	}
	for i := range 20 {
		b, _ = b.With([]Peer{at(alice, fmt.Sprintf("10.0.1.%d:1", i))}, everyone)
	}
	if len(b[0].Addrs) != maxKept || b[0].Addrs[0] != netip.MustParseAddrPort("10.0.1.19:1") {
		t.Errorf("%v", b)
	}
	if b, changed = b.With(nil, func(raft.NodeID) bool { return false }); !changed || len(b) != 0 {
		t.Errorf("a device that is no member any more: %v, %v", b, changed)
	}
}

func FuzzParseBook(f *testing.F) {
	f.Add([]byte(goldenBook))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := ParseBook(text)
		if err != nil {
			return
		}
		if len(b) > maxPeers {
			t.Fatalf("%d devices", len(b))
		}
		again, err := ParseBook(b.Encode())
		if err != nil || !bytes.Equal(again.Encode(), b.Encode()) {
			t.Fatalf("%v: %s", err, b.Encode())
		}
	})
}
