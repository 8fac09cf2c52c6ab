package app

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/raft"
)

// maxEvents is how many of the newest events are kept. Who wants older ones is
// told that they are gone.
const maxEvents = 256

// Events holds the newest changes of role and membership for callers of
// /v1/events. All methods may be called from any goroutine.
type Events struct {
	mu      sync.Mutex
	kept    []api.ClusterEvent // by Seq, without gap
	next    uint64             // the Seq of the next one
	state   api.ClusterEvent   // how things are
	changed chan struct{}      // closed by the next change
}

// NewEvents returns an Events of a device that knows nothing yet.
func NewEvents() *Events {
	state := api.ClusterEvent{Kind: api.EventState, Time: now(), Role: raft.Follower.String()}
	return &Events{next: 1, state: state, changed: make(chan struct{})}
}

func now() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// Publish takes the next events and how things are after them. It never blocks.
func (e *Events) Publish(state api.ClusterEvent, events ...api.ClusterEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := now()
	for _, event := range events {
		event.Seq, event.Time = e.next, at
		e.next++
		e.kept = append(e.kept, event)
	}
	if over := len(e.kept) - maxEvents; over > 0 {
		e.kept = append([]api.ClusterEvent(nil), e.kept[over:]...)
	}
	e.state = state
	e.state.Kind, e.state.Seq, e.state.Time = api.EventState, e.next-1, at
	if len(events) > 0 {
		close(e.changed)
		e.changed = make(chan struct{})
	}
}

// read returns the events from one on, which Seq to read next, and a channel that
// is closed when there is more. The error is a *failure.
func (e *Events) read(from uint64) (events []api.ClusterEvent, next uint64, changed <-chan struct{}, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	first := e.next - uint64(len(e.kept))
	if from < first || from > e.next {
		f := fail(http.StatusGone, api.CodeCompacted,
			"there is no event %d here: since this agent started there were those up to %d, and those from %d on are kept", from, e.next-1, first)
		f.ResumeFrom = first
		return nil, e.next, nil, f
	}
	return append(events, e.kept[from-first:]...), e.next, e.changed, nil
}

// eventStream streams changes of role and membership. Without ?from= it begins with
// how things are, so that a caller that wants only that needs no other call.
func (s *Server) eventStream(req *request) error {
	from, given, err := req.uint("from")
	if err != nil {
		return err
	}
	w := &watcher{req: req, sse: strings.Contains(req.r.Header.Get("Accept"), "text/event-stream")}
	if last := req.r.Header.Get("Last-Event-ID"); w.sse && last != "" {
		n, err := strconv.ParseUint(last, 10, 64)
		if err != nil || n+1 == 0 {
			return badRequest("Last-Event-ID: %s: it is not the id of an event", last)
		}
		from, given = n+1, true
	}
	if given && from == 0 {
		return badRequest("from=0: the first event is 1; leave from out for how things are, and what is new")
	}
	if !acquire(s.watchers) {
		f := fail(http.StatusTooManyRequests, api.CodeTooMany, "%d watchers are connected, which is the limit; end one first", cap(s.watchers))
		f.RetryAfterMS = retryBusyMS
		return f
	}
	defer release(s.watchers)
	var out bytes.Buffer
	if !given {
		state := s.cluster.now()
		from = state.Seq + 1
		w.encodeClusterEvent(&out, &state)
	}
	if _, _, _, err := s.cluster.read(from); err != nil {
		return err // now, while the status can still say so
	}
	w.newest = s.history.Next()
	w.newest -= min(w.newest, 1)
	w.begin()
	s.streamEvents(w, from, &out)
	return nil
}

// now is how things are.
func (e *Events) now() api.ClusterEvent {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

// streamEvents sends what out holds, and then the events, until the caller is
// gone or too slow, or the server stops. One that is cut off can go on by the
// last Seq it saw.
func (s *Server) streamEvents(w *watcher, from uint64, out *bytes.Buffer) {
	for {
		events, next, changed, err := s.cluster.read(from)
		for i := range events {
			w.encodeClusterEvent(out, &events[i])
		}
		if err != nil {
			out.Write(w.encodeEnd(failureOf(err).ErrorDetail))
		}
		if sent := w.send(out.Bytes(), s.limits.WriteTimeout); sent != nil || err != nil {
			return
		}
		out.Reset()
		from = next
		select {
		case <-s.stopping:
			end := fail(http.StatusServiceUnavailable, api.CodeStopping, "%v; ask again when it runs", raft.ErrStopped)
			end.RetryAfterMS = retryNoLeaderMS
			_ = w.send(w.encodeEnd(end.ErrorDetail), s.limits.WriteTimeout)
			return
		case <-w.req.r.Context().Done():
			return
		case <-changed:
		}
	}
}

func (w *watcher) encodeClusterEvent(out *bytes.Buffer, e *api.ClusterEvent) {
	if w.sse {
		fmt.Fprintf(out, "id: %d\ndata: ", e.Seq)
	}
	appendLine(out, e)
	if w.sse {
		out.WriteByte('\n')
	}
}
