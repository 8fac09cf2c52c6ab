package udpcomms

import (
	"net/netip"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/traffic"
)

func TestProbeMeasuresTheRoundTrip(t *testing.T) {
	a, b := listen(t, alice), listen(t, bob)
	if heard, trip := a.Contact(bob); !heard.IsZero() || trip != 0 {
		t.Fatalf("before any contact: %v, %v", heard, trip)
	}
	a.Probe(alice) // nothing happens
	meet(t, a, b)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	end := time.After(patience)
	began := time.Now()
	for {
		a.Probe(bob)
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("no answer: %+v", a.Stats())
		}
		if heard, trip := a.Contact(bob); trip > 0 {
			if heard.Before(began) || trip > time.Since(began) {
				t.Errorf("heard %v after the start, with a round trip of %v", heard.Sub(began), trip)
			}
			return
		}
	}
}

// A path may see nothing but probes for long: the first one must do to get to know
// each other.
func TestAProbeDrawsAChallenge(t *testing.T) {
	from, to := newSealer(t, testKey, alice, 1), newSealer(t, testKey, bob, 1)
	packet, err := from.Seal(nil, bob, traffic.AppendProbe(nil, kindProbe, 1))
	if err != nil {
		t.Fatal(err)
	}
	if in := to.Receive(packet, netip.AddrPort{}); in.Reply == nil {
		t.Errorf("nothing is replied: %v", in.Err)
	}
}

func TestStrangeProbes(t *testing.T) {
	a := listen(t, alice)
	d := newDevice(t, bob)
	d.say(a, []byte{kindProbe, 1, 2})
	d.say(a, traffic.AppendProbe(nil, kindEcho, 0))
	d.say(a, traffic.AppendProbe(nil, kindEcho, 77))
	d.say(a, append(traffic.AppendProbe(nil, kindEcho, 77), 0))
	d.settle(a)
	if s := a.Stats().Dropped; s["malformed"] != 2 || s["late_echo"] != 2 {
		t.Errorf("%v", s)
	}
	if _, trip := a.Contact(bob); trip != 0 {
		t.Errorf("a round trip of %v that nothing was asked for", trip)
	}
	d.say(a, traffic.AppendProbe(nil, kindProbe, 99))
	if _, plain := d.hear(); string(plain) != string(traffic.AppendProbe(nil, kindEcho, 99)) {
		t.Errorf("a probe is answered by %x", plain)
	}
}
