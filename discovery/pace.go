package discovery

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// maxWindow is how long a round of the search listens. The first rounds
	// are shorter, so that a lost query is repeated after 1, 2 and 4 s
	// (RFC 6762 §5.2).
	maxWindow = 5 * time.Second
	// settledWindow is enough to hear those that are there.
	settledWindow = 2 * time.Second
	// settledPause lies between rounds while nobody is missing.
	settledPause = 45 * time.Second
	// maxSearchPause lies between rounds when somebody is missing for long.
	// One that comes back asks by itself, and is heard by the transport.
	maxSearchPause = 15 * time.Second
	// searchShare is the part of a long search that is spent pausing.
	searchShare = 8

	minRetry = time.Second
	maxRetry = 30 * time.Second

	// pollEvery is how soon a change of the interfaces is seen where the kernel
	// does not tell.
	pollEvery = 5 * time.Second
	// settledPoll is the same while nobody is missing and all is well.
	settledPoll = 10 * time.Second
)

// pace decides how long to listen and how long to rest.
type pace struct {
	since    time.Time // when this search began
	rounds   int       // of this search
	failures int       // in a row
	settled  bool      // nobody is missing
}

func (p *pace) restart(now time.Time) {
	*p = pace{since: now, settled: p.settled}
}

// missing tells whether anybody is missing; when that begins, so does a search.
func (p *pace) missing(yes bool, now time.Time) {
	if yes && p.settled {
		p.restart(now)
	}
	p.settled = !yes
}

// window is how long the next round listens.
func (p *pace) window() time.Duration {
	w := maxWindow
	if p.rounds < 3 {
		w = time.Second << p.rounds
	}
	p.rounds++
	if p.settled {
		return min(w, settledWindow)
	}
	return w
}

// pause is the rest after a round, jittered by a fifth so that devices that
// started together do not ask together for ever.
func (p *pace) pause(now time.Time, err error) time.Duration {
	var d time.Duration
	switch {
	case err != nil:
		d = min(maxRetry, minRetry<<min(p.failures, 8))
		p.failures++
	case p.settled:
		d, p.failures = settledPause, 0
	default:
		d, p.failures = min(maxSearchPause, now.Sub(p.since)/searchShare), 0
	}
	return d*4/5 + rand.N(d*2/5+1)
}

func (p *pace) poll() time.Duration {
	if p.settled && p.failures == 0 {
		return settledPoll
	}
	return pollEvery
}

// wait rests for d, or until the interfaces change, somebody is missing who
// was not, or ctx ends.
func (s *search) wait(ctx context.Context, d time.Duration) {
	deadline := time.Now().Add(d)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return
		}
		timer := time.NewTimer(min(left, s.pace.poll()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.watch:
			timer.Stop()
		case <-timer.C:
		}
		if s.interrupted(s.links) {
			return
		}
		if s.askMissing() {
			return
		}
	}
}

// askMissing returns whether a search begins, as somebody is missing now.
func (s *search) askMissing() bool {
	if s.cfg.Missing == nil {
		return false
	}
	was := s.pace.settled
	s.pace.missing(s.cfg.Missing(), time.Now())
	return was && !s.pace.settled
}
