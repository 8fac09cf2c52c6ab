package server

import "time"

// alarm is the timer of the loop. It may ring early, never late: a follower's
// next deadline moves on with every heartbeat, and a timer that is moved each
// time wakes the process for where it was before.
type alarm struct {
	*time.Timer
	at time.Time // when it rings; zero: it does not
}

func newAlarm() *alarm {
	t := time.NewTimer(0)
	t.Stop()
	return &alarm{Timer: t}
}

// set lets it ring in d at the latest.
func (a *alarm) set(d time.Duration) {
	at := time.Now().Add(d)
	if !a.at.IsZero() && !a.at.After(at) {
		return
	}
	a.at = at
	a.Reset(d)
}

// rang notes that it did.
func (a *alarm) rang() { a.at = time.Time{} }

func (a *alarm) stop() { a.Stop() }
