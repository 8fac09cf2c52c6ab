package udpcomms

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

const (
	alice raft.NodeID = "aliceaaaaaaaaaaa"
	bob   raft.NodeID = "bobbbbbbbbbbbbbb"
	carol raft.NodeID = "carolcccccccccc2"
)

func addrs(texts ...string) []netip.AddrPort {
	var list []netip.AddrPort
	for _, text := range texts {
		list = append(list, netip.MustParseAddrPort(text))
	}
	return list
}

// What is sent must stay readable by the next release: these are its bytes.
func TestPacketLayouts(t *testing.T) {
	whole := bytes.Repeat([]byte{0xee}, fragmentData+3+fragmentHeader)
	last := appendFragment(nil, 0x0102, 1, whole)
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"fragment": {last[:fragmentHeader+1], "02" + "0000000000000102" + "0001" + "00000475" + "ee"},
		"missing":  {appendMissing(nil, 0x0102, []run{{3, 1}, {500, 2}}), "03" + "0000000000000102" + "00030001" + "01f40002"},
		"where-is": {appendWhereIs(nil, bob), "04" + hex.EncodeToString([]byte(bob))},
		"addresses": {
			appendAddresses(nil, bob, addrs("1.2.3.4:7521", "[fe80::5%eth0]:2")),
			"05" + hex.EncodeToString([]byte(bob)) + "04" + "01020304" + "1d61" + "10" + "fe800000000000000000000000000005" + "0002",
		},
	} {
		if got := hex.EncodeToString(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestFragmentsFillDatagrams(t *testing.T) {
	whole := make([]byte, wire.MaxMessage)
	if n := len(appendFragment(nil, 1, 0, whole)) + seal.Overhead; n != MaxDatagram {
		t.Errorf("a whole fragment makes a datagram of %d bytes, not %d", n, MaxDatagram)
	}
	runs := make([]run, maxRanges)
	if n := len(appendMissing(nil, 1, runs)) + seal.Overhead; n > MaxDatagram {
		t.Errorf("a full request makes a datagram of %d bytes", n)
	}
	for _, total := range []int{maxPlain, 2 * fragmentData, 2*fragmentData + 1, wire.MaxMessage} {
		var joined []byte
		for i := range fragmentCount(total) {
			f, err := parseFragment(appendFragment(nil, 7, i, whole[:total]))
			if err != nil || f.message != 7 || f.index != i || f.total != total {
				t.Fatalf("fragment %d of %d bytes: %+v, %v", i, total, f, err)
			}
			joined = append(joined, f.data...)
		}
		if len(joined) != total {
			t.Errorf("fragments of %d bytes hold %d", total, len(joined))
		}
	}
}

func TestParseRefusesFragments(t *testing.T) {
	good := appendFragment(nil, 1, 1, make([]byte, 2000))
	with := func(at int, b ...byte) []byte {
		p := bytes.Clone(good)
		copy(p[at:], b)
		return p
	}
	for name, p := range map[string][]byte{
		"only the kind":      {kindFragment},
		"no data":            good[:fragmentHeader],
		"too little data":    good[:len(good)-1],
		"too much data":      append(bytes.Clone(good), 0),
		"index beyond end":   with(9, 0, 2),
		"index far beyond":   with(9, 0xff, 0xff),
		"would fit a packet": with(11, binary.BigEndian.AppendUint32(nil, maxPlain-1)...),
		"over the limit":     with(11, binary.BigEndian.AppendUint32(nil, wire.MaxMessage+1)...),
		"4 GiB":              with(11, 0xff, 0xff, 0xff, 0xff),
	} {
		if f, err := parseFragment(p); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

func TestParseRefusesRequests(t *testing.T) {
	good := appendMissing(nil, 1, []run{{3, 2}, {5, 1}})
	if message, runs, err := parseMissing(good); err != nil || message != 1 || !reflect.DeepEqual(runs, []run{{3, 2}, {5, 1}}) {
		t.Fatalf("%d, %v, %v", message, runs, err)
	}
	for name, p := range map[string][]byte{
		"only the kind": {kindMissing},
		"no runs":       appendMissing(nil, 1, nil),
		"half a run":    good[:len(good)-2],
		"empty run":     appendMissing(nil, 1, []run{{3, 0}}),
		"descending":    appendMissing(nil, 1, []run{{5, 1}, {3, 1}}),
		"overlapping":   appendMissing(nil, 1, []run{{3, 2}, {4, 1}}),
		"beyond":        appendMissing(nil, 1, []run{{maxFragments, 1}}),
		"too many runs": append(bytes.Clone(good), make([]byte, 4*maxRanges)...),
	} {
		if _, runs, err := parseMissing(p); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, %v", name, runs, err)
		}
	}
}

func TestParseRefusesAddresses(t *testing.T) {
	list := addrs("1.2.3.4:1", "[2001:db8::1]:2")
	good := appendAddresses(nil, bob, list)
	if id, got, err := parseAddresses(good); err != nil || id != bob || !reflect.DeepEqual(got, list) {
		t.Fatalf("%q, %v, %v", id, got, err)
	}
	if id, got, err := parseAddresses(appendAddresses(nil, bob, nil)); err != nil || id != bob || got != nil {
		t.Fatalf("no addresses: %q, %v, %v", id, got, err)
	}
	for name, p := range map[string][]byte{
		"only the kind": {kindAddresses},
		"half an ID":    good[:8],
		"bad ID":        appendAddresses(nil, "BOBBBBBBBBBBBBBB", nil),
		"cut off":       good[:len(good)-1],
		"bad length":    append(appendAddresses(nil, bob, nil), 5, 1, 2, 3, 4, 5, 6, 7),
		"too many":      appendAddresses(nil, bob, make9()),
	} {
		if _, got, err := parseAddresses(p); !errors.Is(err, errMalformed) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, p := range [][]byte{{kindWhereIs}, appendWhereIs(nil, "short"), appendWhereIs(nil, bob+bob)} {
		if id, err := parseWhereIs(p); !errors.Is(err, errMalformed) {
			t.Errorf("where-is %q: %v", id, err)
		}
	}
}

func make9() []netip.AddrPort {
	var list []netip.AddrPort
	for i := range byte(maxHints + 1) {
		list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 1))
	}
	return list
}

func FuzzParse(f *testing.F) {
	f.Add(appendFragment(nil, 1, 1, make([]byte, 2000)))
	f.Add(appendMissing(nil, 1, []run{{3, 2}, {5, 1}}))
	f.Add(appendWhereIs(nil, bob))
	f.Add(appendAddresses(nil, bob, addrs("1.2.3.4:1", "[2001:db8::1]:2")))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) == 0 || len(p) > maxPlain {
			return
		}
		if fr, err := parseFragment(p); err == nil {
			if fr.total > wire.MaxMessage || fr.index*fragmentData+len(fr.data) > fr.total {
				t.Fatalf("fragment %d of %d bytes lies beyond its message", fr.index, fr.total)
			}
			var r reassembler
			if whole, _ := r.add(alice, fr, start); whole != nil {
				t.Fatal("one fragment makes a message")
			}
		}
		if message, runs, err := parseMissing(p); err == nil {
			if again := appendMissing(nil, message, runs); !bytes.Equal(again[1:], p[1:]) {
				t.Fatalf("runs %v", runs)
			}
		}
		if id, err := parseWhereIs(p); err == nil && !id.Valid() {
			t.Fatalf("ID %q", id)
		}
		if id, list, err := parseAddresses(p); err == nil && (!id.Valid() || len(list) > maxHints) {
			t.Fatalf("%q: %v", id, list)
		}
	})
}
