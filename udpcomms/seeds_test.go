package udpcomms

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestSeedsResolveInTheBackground(t *testing.T) {
	var log lines
	s, err := newSeeds([]string{"192.0.2.1:7", "pi.local:8", "[fe80::1%eth0]:9"}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	literals := addrs("192.0.2.1:7", "[fe80::1%eth0]:9")
	var (
		answer []netip.Addr
		failed error
		asked  int
	)
	s.lookUp = func(_ context.Context, _, host string) ([]netip.Addr, error) {
		asked++
		if host != "pi.local" {
			t.Errorf("%q is looked up", host)
		}
		return answer, failed
	}
	// wanted asks at a time, and does what was begun in the background.
	wanted := func(now time.Time) []netip.AddrPort {
		var background []func()
		list := s.appendTo(t.Context(), nil, now, func(f func()) { background = append(background, f) })
		s.appendTo(t.Context(), nil, now, func(func()) { t.Error("two look-ups of one name at a time") })
		for _, f := range background {
			f()
		}
		return list
	}
	now := start
	s.now = func() time.Time { return now }
	failed = errors.New("no name server")
	for i := range 3 {
		if got := wanted(now); !slices.Equal(got, literals) || asked != i+1 {
			t.Fatalf("%v after %d look-ups", got, asked)
		}
		if wanted(now); asked != i+1 {
			t.Error("it did not wait after a failure")
		}
		now = now.Add(searchAtMost * 5 / 4)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "no name server") {
		t.Errorf("%d log lines:\n%s", n, log.String())
	}
	failed = nil
	for i := range byte(maxSeedAddrs + 5) {
		answer = append(answer, netip.AddrFrom4([4]byte{10, 0, 0, i}))
	}
	wanted(now)
	got := wanted(now)
	if len(got) != len(literals)+maxSeedAddrs || !slices.Contains(got, netip.MustParseAddrPort("10.0.0.1:8")) {
		t.Errorf("resolved: %v", got)
	}
	answer = nil
	now = now.Add(2 * resolveEvery)
	if before := asked; len(wanted(now)) != len(got) || asked != before+1 || len(wanted(now)) != len(got) {
		t.Error("the old addresses were lost, or never looked up again")
	}
}
