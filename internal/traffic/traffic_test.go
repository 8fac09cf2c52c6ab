package traffic

import (
	"errors"
	"maps"
	"net/netip"
	"testing"
	"time"
)

type reason int

func TestCounters(t *testing.T) {
	const late, forged, none reason = 0, 1, 2
	c := NewCounters[reason]([]string{"late", "forged"}, 2)
	now := time.Now()
	c.Sent(1, 100)
	c.Received(2, 50)
	c.Drop(forged)
	c.Drop(none) // is no reason
	c.Drop(-1)
	c.Fail(late, errors.New("unplugged"))
	bad := errors.New("wrong key")
	c.Meet(netip.MustParseAddrPort("10.0.0.1:7521"), bad, now)
	got := c.Totals(now.Add(time.Second))
	if got.SentPackets != 1 || got.SentBytes != 100 || got.ReceivedPackets != 2 || got.ReceivedBytes != 50 || got.LastError != "unplugged" ||
		!maps.Equal(got.Dropped, map[string]uint64{"late": 1, "forged": 1}) {
		t.Errorf("%+v", got)
	}
	if s := got.LastStranger; s.Reason != bad || s.Ago != time.Second || s.Addr.Port() != 7521 {
		t.Errorf("%+v", s)
	}
	if s := NewCounters[reason](nil, 0).Totals(now).LastStranger; s.Reason != nil || s.Ago != 0 {
		t.Errorf("%+v", s)
	}
}

func TestMayLog(t *testing.T) {
	c := NewCounters[reason](nil, 2)
	now := time.Now()
	for i, want := range []struct {
		topic int
		after time.Duration
		may   bool
	}{{0, 0, true}, {0, logEvery - 1, false}, {1, logEvery - 1, true}, {0, logEvery, true}, {0, 2*logEvery - 1, false}} {
		if got := c.MayLog(want.topic, now.Add(want.after)); got != want.may {
			t.Errorf("line %d: %v", i, got)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	var r RoundTrip
	now := time.Now()
	if r.Take(0, now) || r.Take(7, now) {
		t.Error("an answer to nothing was taken")
	}
	n := r.Ask()
	if r.Take(n, now) {
		t.Error("it was answered before it left")
	}
	r.Leaves(n+1, now)
	r.Leaves(n, now)
	if r.Take(n+1, now) || !r.Take(n, now.Add(8*time.Millisecond)) || r.Take(n, now) {
		t.Error("the answer must be taken, once, and no other")
	}
	if r.Smooth != 8*time.Millisecond || !r.Echoed.Equal(now.Add(8*time.Millisecond)) {
		t.Errorf("%+v", r)
	}
	n = r.Ask()
	r.Leaves(n, now)
	if r.Take(n, now); r.Smooth != 8*time.Millisecond-(8*time.Millisecond-time.Microsecond)/4 {
		t.Error(r.Smooth)
	}
}

func TestProbePackets(t *testing.T) {
	b := AppendProbe([]byte{9}, 5, 77)
	if n, ok := ParseProbe(b[1:]); len(b) != 1+ProbeLen || b[1] != 5 || n != 77 || !ok {
		t.Error(b, n, ok)
	}
	for _, wrong := range [][]byte{nil, b, b[2:]} {
		if _, ok := ParseProbe(wrong); ok {
			t.Error(wrong)
		}
	}
}
