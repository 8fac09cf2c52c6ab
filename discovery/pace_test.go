package discovery

import (
	"errors"
	"testing"
	"time"
)

func TestWindowGrows(t *testing.T) {
	var p pace
	for i, want := range []time.Duration{1, 2, 4, 5, 5} {
		if got := p.window(); got != want*time.Second {
			t.Errorf("round %d of a search listens %v, want %v s", i, got, want)
		}
	}
	p.missing(false, time.Time{})
	if got := p.window(); got != settledWindow {
		t.Errorf("settled round listens %v, want %v", got, settledWindow)
	}
}

func TestPause(t *testing.T) {
	start := time.Now()
	failed := errors.New("no network")
	tests := []struct {
		name string
		pace pace
		now  time.Duration // since the start
		err  error
		want time.Duration // before jitter
	}{
		{"search begins", pace{}, 0, nil, 0},
		{"search of 40 s", pace{}, 40 * time.Second, nil, 5 * time.Second},
		{"search of days", pace{}, 99 * time.Hour, nil, maxSearchPause},
		{"settled", pace{settled: true}, time.Hour, nil, settledPause},
		{"first failure", pace{settled: true}, time.Hour, failed, minRetry},
		{"third failure", pace{failures: 2}, time.Hour, failed, 4 * minRetry},
		{"failing for days", pace{failures: 1e6}, time.Hour, failed, maxRetry},
		{"works again", pace{failures: 7, settled: true}, time.Hour, nil, settledPause},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			low, high := time.Duration(1<<62), time.Duration(0)
			for range 1000 {
				p := tt.pace
				p.since = start
				d := p.pause(start.Add(tt.now), tt.err)
				low, high = min(low, d), max(high, d)
				if wantFailures := tt.pace.failures + 1; tt.err != nil && p.failures != wantFailures {
					t.Fatalf("failures %d, want %d", p.failures, wantFailures)
				} else if tt.err == nil && p.failures != 0 {
					t.Fatalf("failures %d after success", p.failures)
				}
			}
			if low < tt.want*4/5 || high > tt.want*6/5+1 {
				t.Errorf("pauses of %v to %v, want %v give or take a fifth", low, high, tt.want)
			}
			if tt.want > 0 && high-low < tt.want/5 {
				t.Errorf("pauses of %v to %v: hardly any jitter", low, high)
			}
		})
	}
}

func TestMissingStartsSearch(t *testing.T) {
	now := time.Now()
	p := pace{since: now.Add(-time.Hour), rounds: 100}
	p.missing(true, now)
	if p.rounds != 100 {
		t.Error("a search under way began anew")
	}
	p.missing(false, now)
	if p.poll() != settledPoll {
		t.Errorf("settled, yet polls every %v", p.poll())
	}
	p.missing(true, now)
	if p.rounds != 0 || !p.since.Equal(now) || p.settled {
		t.Errorf("somebody went missing, no new search: %+v", p)
	}
}
