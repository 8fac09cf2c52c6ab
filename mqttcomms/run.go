package mqttcomms

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// errLonely ends a connection to one of several brokers.
var errLonely = errors.New("no other device was heard through this broker")

// errHome ends a connection to another than the first broker.
var errHome = errors.New("an earlier broker can be reached again")

// errDeaf ends a connection on which nothing comes that was subscribed to. Some
// brokers lose the subscriptions of a client that comes back fast.
var errDeaf = errors.New("the broker delivers nothing to this device (its access control, or it lost the subscriptions)")

// run keeps a connection to a broker until Close.
func (c *Comms) run() {
	pause, next := backoff{since: time.Now()}, 0
	lonelyTimes, deafTimes, homeTimes := 0, 0, 0
	var home *session // an open connection to brokers[next]
	for c.ctx.Err() == nil {
		b, s := c.brokers[next], home
		var err error
		if home = nil; s == nil {
			s, err = c.open(c.ctx, next)
		}
		settled := false // there was a connection, and it lasted
		if err == nil {
			c.connected(s)
			began := time.Now()
			err = s.serve(homeTimes)
			if settled = time.Since(began) >= settledAfter; settled {
				pause = backoff{since: time.Now()}
				c.settled()
			}
			if !errors.Is(err, errLonely) && !errors.Is(err, errHome) {
				lonelyTimes = 0
			}
			if next == 0 && time.Since(began) > homeProven {
				homeTimes = 0
			}
		}
		c.disconnected(b, err)
		var said disconnected
		switch {
		case errors.Is(err, errLonely):
			lonelyTimes++
			next = (next + 1) % len(c.brokers)
		case errors.Is(err, errHome):
			homeTimes++
			home = s.next
			next = home.index
		case errors.Is(err, errDeaf):
			c.wait(jitter(min(deafFirst<<min(deafTimes, 10), deafAtMost)))
			deafTimes++
		case errors.As(err, &said) && said.code == codeTakenOver:
			c.wait(jitter(takenOverPause))
		case errors.As(err, &said) && said.code == codePacketTooLarge:
			// A broker that does not announce its limit says it too late.
			c.packetLimit = max(min(c.packetLimit, s.largest/2), MinPacket)
			c.wait(pause.next(time.Now()))
		case settled:
			next = 0
			c.wait(jitter(pauseFirst / 2)) // not all devices at once
		case s != nil: // it lets this device in only to throw it out
			next = (next + 1) % len(c.brokers)
			c.wait(pause.next(time.Now()))
		default:
			if next = (next + 1) % len(c.brokers); next == 0 {
				c.wait(pause.next(time.Now()))
			}
		}
		c.setLonely(lonelyTimes)
	}
}

// wait waits, or until Close.
func (c *Comms) wait(d time.Duration) { waitFor(c.ctx, d) }

func waitFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// backoff is how long to pause between two rounds through the brokers.
type backoff struct {
	since time.Time // when the last connection ended
	last  time.Duration
}

func (b *backoff) next(now time.Time) time.Duration {
	most := min(max(now.Sub(b.since)/pauseShare, pauseAtLeast), pauseAtMost)
	b.last = min(max(2*b.last, pauseFirst), most)
	return jitter(b.last)
}

// jitter spreads a pause by up to a half either way, so that devices that began
// together do not stay together.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d+1) }

// setLonely sets how patient the next connection is with being alone.
func (c *Comms) setLonely(times int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lonelyPatience = min(lonelyFirst<<min(times, 10), lonelyAtMost)
}

// lookHome connects to a broker before the one in use, sooner or later, and then
// puts the connection into s.home and returns. Brokers need not know each other,
// and devices at different ones do not meet; as all prefer the first, they end at
// one wherever they were, also where there are some at each, of whom none is
// lonely.
func (s *session) lookHome(ctx context.Context, times int) {
	first := homeFirst
	if s.c.cfg.homeFirst != 0 {
		first = s.c.cfg.homeFirst
	}
	for {
		waitFor(ctx, jitter(min(first<<min(times, 10), lonelyAtMost)))
		for i := range s.index {
			if ctx.Err() != nil {
				return
			}
			s.looking.Lock()
			earlier := s.c.openWhile(ctx, i)
			s.next = earlier
			s.looking.Unlock()
			if earlier != nil {
				s.end(errHome)
				return
			}
		}
	}
}

// openWhile connects to a broker, unless ctx ends before that is done.
func (c *Comms) openWhile(ctx context.Context, index int) *session {
	own, cancel := context.WithCancel(c.ctx)
	keep := context.AfterFunc(ctx, cancel)
	s, err := c.open(own, index)
	if err != nil {
		cancel()
		return nil
	}
	if !keep() {
		s.close()
		return nil
	}
	s.cancel = cancel
	return s
}

// replaced reports whether err is that s was taken over by the connection that
// it made itself: two URLs may lead to one broker.
func (s *session) replaced(err error) bool {
	var said disconnected
	if !errors.As(err, &said) || said.code != codeTakenOver {
		return false
	}
	s.looking.Lock()
	defer s.looking.Unlock()
	return s.next != nil
}

// lonely returns a channel that is closed when no device has been heard for too
// long and there is another broker to try; it never is where there is none.
func (c *Comms) lonely(ctx context.Context) <-chan struct{} {
	alone := make(chan struct{})
	if len(c.brokers) < 2 {
		return alone
	}
	c.mu.Lock()
	patience := jitter(c.lonelyPatience)
	c.mu.Unlock()
	c.wg.Go(func() {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-timer.C:
				c.mu.Lock()
				silent := now.Sub(c.anyHeard)
				c.mu.Unlock()
				if silent >= patience {
					close(alone)
					return
				}
				timer.Reset(patience - silent)
			}
		}
	})
	return alone
}
