package discovery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/grandcat/zeroconf"
)

const (
	// maxInstances bounds the announcements of one round. More end the round:
	// the resolver remembers each, so a flood would grow memory without bound.
	maxInstances = 256
	// freshRounds is how long a device counts as present after it was heard.
	freshRounds = 3
	// maxOthers bounds the other clusters that are remembered.
	maxOthers = 4
	// entriesBuffer lets the resolver go on while Found is called.
	entriesBuffer = 64
)

// browse is one round: a query at once, another after some 4 s if the window
// is as long, and whatever is heard until the window closes.
//
// Each round has a resolver of its own, because a resolver reports a device
// once, forgets none, and is deaf for ever when its interface is made anew.
func (s *search) browse(ctx context.Context, window time.Duration) error {
	resolver, err := s.resolver()
	if err != nil {
		return fmt.Errorf("listening for mDNS on %v: %w", linkNames(s.links), err)
	}
	ctx, cancel := context.WithTimeout(ctx, window)
	defer cancel()
	entries := make(chan *zeroconf.ServiceEntry, entriesBuffer)
	if err := resolver.Browse(ctx, service, domain, entries); err != nil {
		cancel()
		drain(entries)
		return fmt.Errorf("asking for devices by mDNS on %v: %w", linkNames(s.links), err)
	}
	clean := sanitiser{self: s.cfg.Self, label: s.label, links: s.links}
	count := 0
	go s.endEarly(ctx, cancel, s.links)
	for e := range entries { // closed when ctx ends
		if count++; count > maxInstances {
			s.status.Refused++
			cancel()
			drain(entries)
			s.cfg.Logger.Debug("discovery: round cut short: too many announcements", "limit", maxInstances)
			break
		}
		s.consider(clean, e)
	}
	return nil
}

// resolver opens the sockets of one round. A kernel without IPv6 is found out
// once per set of links: every failed attempt leaves a socket to the garbage
// collector.
func (s *search) resolver() (*zeroconf.Resolver, error) {
	links := zeroconf.SelectIfaces(netInterfaces(s.links))
	if !s.ipv4 {
		r, err := zeroconf.NewResolver(links)
		if err == nil {
			return r, nil
		}
		s.cfg.Logger.Debug("discovery: both IP versions together failed, trying IPv4 alone", "error", err)
	}
	r, err := zeroconf.NewResolver(links, zeroconf.SelectIPTraffic(zeroconf.IPv4))
	s.ipv4 = err == nil
	return r, err
}

// endEarly ends the round when the interfaces change: what is heard by sockets of
// the old ones is not worth waiting for.
func (s *search) endEarly(ctx context.Context, cancel context.CancelFunc, used []link) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.watch:
			if s.interrupted(used) {
				cancel()
				return
			}
		}
	}
}

func (s *search) consider(clean sanitiser, e *zeroconf.ServiceEntry) {
	p, err := clean.peer(e)
	switch {
	case err == nil:
		if _, known := s.heard[p.ID]; known || len(s.heard) < maxInstances {
			s.heard[p.ID] = s.status.Rounds
		}
		s.cfg.Found(p)
	case errors.Is(err, errOtherCluster):
		// Usual in a healthy network; but a device whose own name is wrong finds only these.
		text, _ := parseText(e.Text)
		if _, known := s.others[text["c"]]; known || text["c"] != "" && len(s.others) < maxOthers {
			s.others[text["c"]] = s.status.Rounds
		}
	case errors.Is(err, errSelf):
	default:
		s.status.Refused++
		s.cfg.Logger.Debug("discovery: announcement ignored", "reason", err, "instance", e.Instance)
	}
}

// drain empties entries until the resolver closes it: its goroutine blocks on
// a send that ignores the context.
func drain(entries <-chan *zeroconf.ServiceEntry) {
	for range entries {
		continue
	}
}
