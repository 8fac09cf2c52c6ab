package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// outcome is what the proposer was told.
type outcome int

const (
	acknowledged outcome = iota // it is committed at an index
	refused                     // it surely did not and will not take effect
	unknown                     // it may or may not take effect, but once
)

// proposal is one command that was proposed, and what was said of it.
type proposal struct {
	command    string
	asked, got time.Time
	outcome    outcome
	index      uint64 // if acknowledged
	err        error  // if not
}

// load proposes on devices, one command after the other on each, and records
// what came of each.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu        sync.Mutex
	proposals []proposal
	acked     map[int]int // by device
}

const (
	// proposeEvery keeps the load of one device light: the tests are about
	// what is kept, not about how much.
	proposeEvery = 50 * time.Millisecond
	// proposeTimeout is longer than the agent's own deadline, about 10 s, whose
	// answer says more.
	proposeTimeout = 15 * time.Second
)

func startLoad(t testing.TB, agents []*agent) *load {
	ctx, stop := context.WithCancel(context.Background())
	l := &load{stop: stop, acked: make(map[int]int)}
	for _, a := range agents {
		l.done.Go(func() { l.run(ctx, a) })
	}
	t.Cleanup(l.end)
	return l
}

// end stops the load and waits for the last answers.
func (l *load) end() {
	l.stop()
	l.done.Wait()
}

func (l *load) run(ctx context.Context, a *agent) {
	tick := time.NewTicker(proposeEvery)
	defer tick.Stop()
	for seq := 1; ; seq++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		l.propose(a, fmt.Sprintf("load %s %d", a.name(), seq))
	}
}

func (l *load) propose(a *agent, command string) {
	ctx, cancel := context.WithTimeout(context.Background(), proposeTimeout*slowness)
	defer cancel()
	p := proposal{command: command, asked: time.Now()}
	applied, err := a.client.Propose(ctx, []byte(command))
	p.got, p.outcome, p.index, p.err = time.Now(), outcomeOf(err), applied.Index, err
	l.mu.Lock()
	defer l.mu.Unlock()
	l.proposals = append(l.proposals, p)
	if p.outcome == acknowledged {
		l.acked[a.i]++
	}
}

func outcomeOf(err error) outcome {
	var answer *client.Error
	switch {
	case err == nil:
		return acknowledged
	case errors.Is(err, client.ErrUnreachable):
		return refused
	case errors.As(err, &answer):
		switch answer.Code {
		case api.CodeNoLeader, api.CodeNotFounded, api.CodeStopping, api.CodeTooMany, api.CodeLogFull:
			return refused
		}
	}
	return unknown
}

// soFar returns a copy of the proposals whose outcome is known to be known.
func (l *load) soFar() []proposal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]proposal(nil), l.proposals...)
}

func (l *load) ackedOn(device int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[device]
}

// collector keeps what is written, to be looked at by whole lines.
type collector struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (c *collector) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *collector) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := strings.SplitAfter(c.text.String(), "\n")
	return lines[:len(lines)-1] // what follows the last newline
}

func parseEvent(line string) (api.Event, error) {
	var e api.Event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		return e, fmt.Errorf("watch printed %q: %w", line, err)
	}
	if e.Error != nil {
		return e, fmt.Errorf("watch ended with %+v", *e.Error)
	}
	return e, nil
}
