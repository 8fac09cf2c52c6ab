package app

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/once"
)

// timelessRecorder takes the deadlines that a connection would.
type timelessRecorder struct{ *httptest.ResponseRecorder }

func (timelessRecorder) SetReadDeadline(time.Time) error  { return nil }
func (timelessRecorder) SetWriteDeadline(time.Time) error { return nil }

// Whatever the request, the answer is a success or an error in the form of the
// contract, and never a panic or an internal error.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /v1/kv/a/../b%2Fc?consistency=stale HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /v1/kv/a?if_index=0&timeout=1s HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx",
		"PUT /v1/kv/a?ttl=90s HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nEdgeraft-Key-Since: 1\r\nContent-Length: 1\r\n\r\nx",
		"GET /v1/kv?prefix=a&after=b&limit=3 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /v1/watch?from=1&prefix=a HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: 1\r\n\r\n",
		"POST /v1/members/abcdefghijklmnop/promote HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /v1/txn HTTP/1.1\r\nHost: x\r\nContent-Length: 87\r\n\r\n" +
			`{"compare":[{"key":"a","index":0}],"then":[{"op":"put","key":"a","value_base64":"/w=="}]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Skip("net/http refuses it")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // which ends a watch
		history := NewHistory(HistoryLimits{})
		node := newInstantNode(history, once.Limits{})
		s := New(Config{Node: node, Founder: node, Store: node.store, History: history})
		w := timelessRecorder{httptest.NewRecorder()}
		s.ServeHTTP(w, r.WithContext(ctx))
		if w.Code/100 == 2 {
			return
		}
		var answer api.Error
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Error.Code == "" || answer.Error.Message == "" || w.Code == 500 {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}
