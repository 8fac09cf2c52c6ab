package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// How Retry tries again.
const (
	retryFirst = 100 * time.Millisecond // pause before the second try, doubled for each further one
	retryMost  = 5 * time.Second        // but never longer, unless the agent asks for more
	retryTries = 200                    // then it gives up, whatever the context says
)

// Key is an idempotency key: of all changes that are made with it, one takes
// effect, and all get its answer. It is for one change, and for as many tries of
// that as it takes, on any device, also after restarts of everything; a program
// that wants that stores both fields before the first try.
type Key struct {
	Text string // 1 to 64 bytes, of the caller's choice
	// Since is an index that was seen before the key was used for the first
	// time; 0: none is known. With it, a key that the cluster has forgotten,
	// after 65,536 later ones, is refused (api.CodeKeyForgotten). Without, it is
	// a new one then.
	Since uint64
}

// NewKey makes a key of random text, and since of what the agent has applied.
func (c *Client) NewKey(ctx context.Context) (Key, error) {
	status, err := c.Status(ctx)
	if err != nil {
		return Key{}, fmt.Errorf("making an idempotency key: %w", err)
	}
	key := Key{Text: rand.Text(), Since: status.Node.Applied}
	if key.Since == 0 {
		// It has just started. No key has a NUL, so this lists nothing.
		list, err := c.List(ctx, "\x00", ListOptions{})
		if err != nil {
			return Key{}, fmt.Errorf("making an idempotency key: %w", err)
		}
		key.Since = list.Applied
	}
	return key, nil
}

// WithKey returns a client whose changes have this key. It shares the
// connections with c.
func (c *Client) WithKey(key Key) *Client {
	keyed := *c
	keyed.key = key
	return &keyed
}

// Retry makes one change with a key until its outcome is known or ctx ends,
// with growing pauses between the tries: after an unknown outcome, a lost
// answer, and where there is no leader or too much to do. The change is to make
// one call of the client it is given, the same each time. When a try may have
// taken effect and no later one could tell, the error says so: it is then
// ErrInterrupted or has code "outcome_unknown", and Retry can be called again
// with the same key. An agent that cannot be reached at first is not waited for.
func (c *Client) Retry(ctx context.Context, key Key, change func(ctx context.Context, keyed *Client) error) error {
	keyed := c.WithKey(key)
	var unknown error // of the last try that may have taken effect
	pause := retryFirst
	for try := 1; ; try++ {
		err := change(ctx, keyed)
		if err == nil || settled(err) {
			return err
		}
		if isUnknown(err) {
			unknown = err
		}
		wait, again := retryAfter(err)
		if errors.Is(err, ErrUnreachable) {
			again = try > 1
		}
		if !again || try == retryTries || !sleep(ctx, max(wait, pause/2)+mathrand.N(pause/2)) {
			if unknown != nil && unknown != err {
				return fmt.Errorf("%w; a later try: %v", unknown, err)
			}
			return err
		}
		pause = min(2*pause, retryMost)
	}
}

// settled reports whether an error is the outcome of the change itself.
func settled(err error) bool {
	switch codeOf(err) {
	case api.CodeCompareFailed, api.CodeNotFound, api.CodeStateFull, api.CodeConflict, api.CodeKeyReused, api.CodeKeyForgotten:
		return true
	}
	return false
}

func isUnknown(err error) bool {
	return errors.Is(err, ErrInterrupted) || codeOf(err) == api.CodeOutcomeUnknown
}

// retryAfter reports whether to try again after an error, and how long the
// agent wants that to be put off at least.
func retryAfter(err error) (time.Duration, bool) {
	switch codeOf(err) {
	case api.CodeOutcomeUnknown, api.CodeNoLeader, api.CodeStopping, api.CodeTooMany, api.CodeTooManyKeys:
		var e *Error
		errors.As(err, &e)
		return time.Duration(e.RetryAfterMS) * time.Millisecond, true
	}
	return 0, errors.Is(err, ErrInterrupted)
}

func codeOf(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// sleep waits, and reports false if ctx ends before, or has ended. A pause that
// would outlast its deadline is not begun.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
