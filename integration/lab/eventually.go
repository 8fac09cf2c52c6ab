package lab

import (
	"testing"
	"time"
)

// pollInterval is how often Eventually looks.
const pollInterval = 50 * time.Millisecond

// Eventually looks at a condition until it holds (ready returns nil), and
// fails the test when it does not within the time given. The last error says
// what was missing.
func Eventually(t testing.TB, what string, within time.Duration, ready func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s: %v", within, what, err)
		}
	}
}
