package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// script answers one request after the other: a status and a body, or "" to
// break the connection. It records the requests.
type script struct {
	mu      sync.Mutex
	answers []string
	seen    []string
}

// requests are those so far.
func (s *script) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// next records a request and returns its answer.
func (s *script) next(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, fmt.Sprintf("%s %s key=%s since=%s", r.Method, r.RequestURI, r.Header.Get(api.HeaderKey), r.Header.Get(api.HeaderKeySince)))
	if len(s.answers) == 0 {
		return ""
	}
	answer := s.answers[0]
	s.answers = s.answers[1:]
	return answer
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	answer := s.next(r)
	if answer == "" {
		panic(http.ErrAbortHandler)
	}
	var status int
	code, body, _ := strings.Cut(answer, " ")
	fmt.Sscan(code, &status)
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const (
	isDone    = `200 {"index":7,"term":1}`
	isUnclear = `504 {"error":{"code":"outcome_unknown","message":"m","retry_after_ms":1}}`
	noLeader  = `503 {"error":{"code":"no_leader","message":"m","retry_after_ms":1}}`
	isFull    = `507 {"error":{"code":"log_full","message":"m"}}`
	isReused  = `409 {"error":{"code":"key_reused","message":"m"}}`
	isLonger  = `429 {"error":{"code":"too_many_keys","message":"m","retry_after_ms":3600000}}`
)

func TestRetry(t *testing.T) {
	code := func(want string) func(error) bool { return func(err error) bool { return codeOf(err) == want } }
	cases := []struct {
		name    string
		answers []string
		tries   int
		check   func(error) bool
	}{
		{"at once", []string{isDone}, 1, func(err error) bool { return err == nil }},
		{"after everything", []string{noLeader, isUnclear, "", isDone}, 4, func(err error) bool { return err == nil }},
		{"refused", []string{isReused}, 1, code(api.CodeKeyReused)},
		{"refused after a lost answer", []string{"", isReused}, 2, code(api.CodeKeyReused)},
		{"surely not applied", []string{noLeader, isFull}, 2, code(api.CodeLogFull)},
		{"perhaps applied before", []string{isUnclear, noLeader, isFull}, 3, func(err error) bool {
			return codeOf(err) == api.CodeOutcomeUnknown && strings.Contains(err.Error(), "log_full")
		}},
		{"perhaps applied before the agent went", []string{"", isFull}, 2, func(err error) bool { return errors.Is(err, ErrInterrupted) }},
		{"a pause beyond the deadline", []string{isLonger}, 1, code(api.CodeTooManyKeys)},
	}
	for _, c := range cases {
		s := &script{answers: c.answers}
		client := agent(t, s.ServeHTTP)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		err := client.Retry(ctx, Key{Text: "k", Since: 3}, func(ctx context.Context, keyed *Client) error {
			_, err := keyed.Put(ctx, "a", nil, PutOptions{})
			return err
		})
		cancel()
		requests := s.requests()
		if !c.check(err) || len(requests) != c.tries {
			t.Errorf("%s: %v after %d tries", c.name, err, len(requests))
		}
		for _, r := range requests {
			if r != "PUT /v1/kv/a key=k since=3" {
				t.Errorf("%s: %s", c.name, r)
			}
		}
	}
}

func TestRetryDoesNotWaitForAnAgentThatIsNotThere(t *testing.T) {
	client := New(filepath.Join(t.TempDir(), "none"))
	calls := 0
	err := client.Retry(t.Context(), Key{Text: "k"}, func(ctx context.Context, keyed *Client) error {
		calls++
		_, err := keyed.Propose(ctx, nil)
		return err
	})
	if !errors.Is(err, ErrUnreachable) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := agent(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		_, _ = io.WriteString(w, noLeader[4:])
		cancel()
	})
	err := client.Retry(ctx, Key{Text: "k"}, func(ctx context.Context, keyed *Client) error {
		_, err := keyed.Delete(ctx, "a", DeleteOptions{})
		return err
	})
	if err == nil {
		t.Error("it succeeded")
	}
}

func TestNewKey(t *testing.T) {
	s := &script{answers: []string{`200 {"node":{"applied":41}}`, `200 {"node":{"applied":0}}`, `200 {"applied":42,"items":[]}`}}
	client := agent(t, s.ServeHTTP)
	a, err := client.NewKey(t.Context())
	if err != nil || a.Since != 41 || a.Text == "" || len(a.Text) > 64 {
		t.Errorf("%+v, %v", a, err)
	}
	b, err := client.NewKey(t.Context())
	if err != nil || b.Since != 42 || b.Text == a.Text {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestWhichCallsCarryTheKey(t *testing.T) {
	var last atomic.Value
	client := agent(t, func(w http.ResponseWriter, r *http.Request) {
		last.Store(r.Header.Get(api.HeaderKey) + "/" + r.Header.Get(api.HeaderKeySince))
		w.Header().Set(api.HeaderIndex, "1")
		w.Header().Set(api.HeaderExpiresIn, "1500")
		_, _ = io.WriteString(w, "{}")
	})
	keyed := client.WithKey(Key{Text: "k", Since: 9})
	for name, c := range map[string]struct {
		call func(context.Context) error
		want string
	}{
		"put":      {func(ctx context.Context) error { _, err := keyed.Put(ctx, "a", nil, PutOptions{}); return err }, "k/9"},
		"delete":   {func(ctx context.Context) error { _, err := keyed.Delete(ctx, "a", DeleteOptions{}); return err }, "k/9"},
		"propose":  {func(ctx context.Context) error { _, err := keyed.Propose(ctx, nil); return err }, "k/9"},
		"txn":      {func(ctx context.Context) error { _, err := keyed.Txn(ctx, api.Txn{}); return err }, "k/9"},
		"promote":  {func(ctx context.Context) error { return keyed.PromoteMember(ctx, "i") }, "k/"},
		"init":     {func(ctx context.Context) error { _, err := keyed.Init(ctx); return err }, "k/"},
		"transfer": {func(ctx context.Context) error { _, err := keyed.Transfer(ctx, "i"); return err }, "k/"},
		"get": {func(ctx context.Context) error {
			got, err := keyed.Get(ctx, "a", GetOptions{})
			if got.ExpiresIn != 1500*time.Millisecond {
				t.Errorf("get: %+v", got)
			}
			return err
		}, "/"},
		"the client without": {func(ctx context.Context) error { _, err := client.Propose(ctx, nil); return err }, "/"},
	} {
		if err := c.call(t.Context()); err != nil || last.Load() != c.want {
			t.Errorf("%s: %q, %v", name, last.Load(), err)
		}
	}
}
