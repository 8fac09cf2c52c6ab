package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// An alarm rings no later than the last time it was set for, and is not moved
// only to ring later.
func TestAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		a := newAlarm()
		defer a.stop()
		rings := func(want time.Duration) {
			t.Helper()
			<-a.C
			a.rang()
			if got := time.Since(began); got != want {
				t.Errorf("it rang after %v, want %v", got, want)
			}
		}
		a.set(2 * time.Second)
		<-time.After(time.Second)
		a.set(2 * time.Second) // for 3 s: it stays
		rings(2 * time.Second)
		a.set(time.Second)
		rings(3 * time.Second)
		a.set(10 * time.Second)
		<-time.After(time.Second)
		a.set(time.Second) // for 5 s: earlier than before
		rings(5 * time.Second)
		a.set(0)
		rings(5 * time.Second)
	})
}
