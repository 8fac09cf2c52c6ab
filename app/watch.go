package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// watcher streams changes to one caller.
type watcher struct {
	req    *request
	prefix string
	sse    bool
	next   raft.Index // from which to read next
	newest raft.Index // what this device had applied at the beginning
	begun  bool       // the header is sent
}

func (s *Server) watch(req *request) error {
	prefix, err := req.text("prefix")
	if err != nil {
		return err
	}
	w := &watcher{req: req, prefix: prefix, sse: strings.Contains(req.r.Header.Get("Accept"), "text/event-stream")}
	if err := w.position(s.history.Next()); err != nil {
		return err
	}
	if !acquire(s.watchers) {
		f := fail(http.StatusTooManyRequests, api.CodeTooMany, "%d watchers are connected, which is the limit; end one first", cap(s.watchers))
		f.RetryAfterMS = retryBusyMS
		return f
	}
	defer release(s.watchers)
	if _, _, _, err := s.history.read(w.next); err != nil {
		return err // now, while the status can still say so
	}
	w.begin()
	s.stream(w)
	return nil
}

// position finds where to begin: after the event that a reconnecting
// EventSource saw last, or at ?from=, or with what is new.
func (w *watcher) position(now raft.Index) error {
	from, given, err := w.req.uint("from")
	if err != nil {
		return err
	}
	if given && from == 0 {
		return badRequest("from=0: the first index is 1; leave from out for only what is new")
	}
	w.next = max(now, 1)
	w.newest = w.next - 1
	if given {
		w.next = raft.Index(from)
	}
	if last := w.req.r.Header.Get("Last-Event-ID"); w.sse && last != "" {
		n, err := strconv.ParseUint(last, 10, 64)
		if err != nil || n+1 == 0 {
			return badRequest("Last-Event-ID: %s: it is not the id of an event", last)
		}
		w.next = raft.Index(n + 1)
	}
	return nil
}

// begin makes the header, which is sent at once, so that the caller knows that
// it is connected.
func (w *watcher) begin() {
	header := w.req.w.Header()
	header.Set("Content-Type", "application/x-ndjson")
	if w.sse {
		header.Set("Content-Type", "text/event-stream")
	}
	header.Set("Cache-Control", "no-store")
	header.Set(api.HeaderApplied, strconv.FormatUint(uint64(w.newest), 10))
	w.req.w.WriteHeader(http.StatusOK)
}

// stream sends until the caller is gone or too slow, or the server stops. It
// holds one batch at a time; how far it is behind is only a number. Why a
// write failed does not matter: the caller is gone, and can resume.
func (s *Server) stream(w *watcher) {
	gone := w.req.r.Context().Done()
	for {
		batch, next, changed, err := s.history.read(w.next)
		if err != nil {
			_ = w.send(w.encodeEnd(failureOf(err).ErrorDetail), s.limits.WriteTimeout)
			return
		}
		w.next = next
		if err := w.send(w.encode(batch), s.limits.WriteTimeout); err != nil {
			return
		}
		if changed == nil { // there may be more already
			changed = always
		}
		select {
		case <-s.stopping:
			end := fail(http.StatusServiceUnavailable, api.CodeStopping,
				"%v; watch again from index %d when it runs, or on another device", raft.ErrStopped, w.next)
			end.RetryAfterMS, end.ResumeFrom = retryNoLeaderMS, uint64(w.next)
			_ = w.send(w.encodeEnd(end.ErrorDetail), s.limits.WriteTimeout)
			return
		case <-gone:
			return
		case <-changed:
		}
	}
}

// always is a channel on which nobody waits in vain.
var always = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// encode makes the lines of a batch, without what the prefix leaves out.
func (w *watcher) encode(batch []kv.Change) []byte {
	var out bytes.Buffer
	for _, c := range batch {
		var last *api.Event
		for i := range c.Events {
			e := &c.Events[i]
			if w.prefix != "" && (e.Kind == kv.EventCommand || !strings.HasPrefix(e.Key, w.prefix)) {
				continue
			}
			if last != nil {
				last.More = true
				w.encodeEvent(&out, last)
			}
			last = &api.Event{Index: uint64(c.Index), Term: uint64(c.Term), Kind: string(e.Kind), Key: e.Key}
			if e.Kind == kv.EventCommand || e.Kind == kv.EventPut {
				last.Bytes = api.BytesOf(e.Value)
			}
		}
		if last != nil {
			w.encodeEvent(&out, last)
		}
	}
	return out.Bytes()
}

// encodeEvent appends one event. For SSE only the last one of an index has the
// id, so that an EventSource that reconnects repeats an index it has only a
// part of.
func (w *watcher) encodeEvent(out *bytes.Buffer, e *api.Event) {
	if !w.sse {
		appendLine(out, e)
		return
	}
	if !e.More {
		fmt.Fprintf(out, "id: %d\n", e.Index)
	}
	out.WriteString("data: ")
	appendLine(out, e)
	out.WriteByte('\n')
}

// encodeEnd makes the last line of a stream that cannot go on.
func (w *watcher) encodeEnd(detail api.ErrorDetail) []byte {
	var out bytes.Buffer
	if w.sse {
		out.WriteString("event: end\ndata: ")
	}
	appendLine(&out, api.Error{Error: detail})
	if w.sse {
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// appendLine appends v as one line of JSON.
func appendLine(out *bytes.Buffer, v any) {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("app: a struct of strings and numbers did not encode: " + err.Error())
	}
}

// send writes and flushes, within the time the caller has for it. Without
// anything to write it flushes the header, once.
func (w *watcher) send(b []byte, timeout time.Duration) error {
	if len(b) == 0 && w.begun {
		return nil
	}
	w.begun = true
	if err := w.req.control.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := w.req.w.Write(b); err != nil {
		return err
	}
	return w.req.control.Flush()
}
