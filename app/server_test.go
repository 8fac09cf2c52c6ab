package app

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/raft"
)

func itoa(n int) string { return strconv.Itoa(n) }

func parse(t *testing.T, text string) answer {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
	if err != nil {
		t.Fatalf("%v in the answer %q", err, text)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%v in the answer %q", err, text)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// code is the error's code, after checking the form of the contract.
func (a answer) code(t *testing.T) string {
	t.Helper()
	var e api.Error
	if err := json.Unmarshal([]byte(a.body), &e); err != nil || e.Error.Message == "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("not an error of the contract: %d %s", a.status, a.body)
	}
	return e.Error.Code
}

func TestCalls(t *testing.T) {
	const id = "abcdefghijklmnop"
	cases := []struct {
		method, target, body string
		status               int
		want                 string // the body, or the error's code
		index                string // header Edgeraft-Index
	}{
		{"POST", "/v1/propose", "turn on", 200, `{"index":1,"term":3}`, "1"},
		{"POST", "/v1/propose", "", 200, `{"index":2,"term":3}`, "2"},
		{"PUT", "/v1/kv/a", "1", 200, `{"index":3,"term":3}`, "3"},
		{"GET", "/v1/kv/a", "", 200, "1", "3"},
		{"GET", "/v1/kv/a?consistency=stale", "", 200, "1", "3"},
		{"GET", "/v1/kv/a?consistency=linearizable&timeout=1s", "", 200, "1", "3"},
		{"GET", "/v1/kv/b", "", 404, "not_found", ""},
		{"PUT", "/v1/kv/a?if_index=2", "2", 409, "compare_failed", "3"},
		{"PUT", "/v1/kv/a?if_index=0", "2", 409, "compare_failed", "3"},
		{"PUT", "/v1/kv/b?if_index=1", "2", 409, "compare_failed", "0"},
		{"PUT", "/v1/kv/a?if_index=3", "<\xff>", 200, `{"index":7,"term":3}`, "7"},
		{"GET", "/v1/kv/a", "", 200, "<\xff>", "7"},
		{"PUT", "/v1/kv/a%2Fempty", "", 200, `{"index":8,"term":3}`, "8"},
		{"GET", "/v1/kv/a/empty", "", 200, "", "8"},
		{"GET", "/v1/kv?prefix=a", "", 200, `{"applied":8,"items":[{"key":"a","value_base64":"PP8+","index":7},{"key":"a/empty","value":"","index":8}]}`, ""},
		{"GET", "/v1/kv?limit=1", "", 200, `{"applied":8,"items":[{"key":"a","value_base64":"PP8+","index":7}],"next":"a"}`, ""},
		{"GET", "/v1/kv?after=a&consistency=stale", "", 200, `{"applied":8,"items":[{"key":"a/empty","value":"","index":8}]}`, ""},
		{"GET", "/v1/kv?prefix=x", "", 200, `{"applied":8,"items":[]}`, ""},
		{"DELETE", "/v1/kv/a?if_index=1", "", 409, "compare_failed", "7"},
		{"DELETE", "/v1/kv/a?if_index=7", "", 200, `{"index":10,"term":3}`, "10"},
		{"DELETE", "/v1/kv/a", "", 404, "not_found", ""},
		{"POST", "/v1/txn", `{"compare":[{"key":"t","index":0}],"then":[{"op":"put","key":"t","value":"1"}]}`, 200, `{"index":12,"term":3,"succeeded":true}`, "12"},
		{"POST", "/v1/txn", `{"compare":[{"key":"t","index":0}],"else":[{"op":"put","key":"t","value_base64":"/w=="},{"op":"delete","key":"u"}]}`, 200, `{"index":13,"term":3,"succeeded":false}`, "13"},
		{"GET", "/v1/kv/t", "", 200, "\xff", "13"},
		{"GET", "/v1/members", "", 200, `{"members":[]}`, ""},
		{"POST", "/v1/members", `{"id":"` + id + `","name":"shed"}`, 200, `{"id":"` + id + `"}`, ""},
		{"POST", "/v1/members/" + id + "/promote", "", 200, `{"id":"` + id + `"}`, ""},
		{"POST", "/v1/members/" + id + "/demote", "", 200, `{"id":"` + id + `"}`, ""},
		{"DELETE", "/v1/members/" + id, "", 200, `{"id":"` + id + `"}`, ""},
		{"POST", "/v1/init", "", 200, `{"cluster_id":"c","key":"k"}`, ""},
		{"POST", "/v1/join", `{"key":" secret\n"}`, 200, `{"cluster_id":"c"}`, ""},
		{"GET", "/healthz", "", 200, `{"status":"ok"}`, ""},
		{"GET", "/readyz", "", 503, "not_founded", ""},
	}
	s := serve(t, Limits{}, HistoryLimits{})
	for _, c := range cases {
		got := s.call(c.method, c.target, c.body)
		text := strings.TrimSuffix(got.body, "\n")
		if c.status >= 400 {
			text = got.code(t)
		}
		if got.status != c.status || text != c.want || got.header.Get(api.HeaderIndex) != c.index {
			t.Errorf("%s %s: %d %q index %q\nwant %d %q index %q", c.method, c.target,
				got.status, got.body, got.header.Get(api.HeaderIndex), c.status, c.want, c.index)
		}
	}
	want := []raft.Change{
		{Kind: raft.AddLearner, ID: id, Name: "shed"}, {Kind: raft.Promote, ID: id},
		{Kind: raft.Demote, ID: id}, {Kind: raft.Remove, ID: id},
	}
	if fmt.Sprint(s.node.changes) != fmt.Sprint(want) || fmt.Sprint(s.node.joined) != "[secret]" {
		t.Errorf("changes %v, joined %q", s.node.changes, s.node.joined)
	}
}

func TestRefusedCalls(t *testing.T) {
	long := strings.Repeat("k", 513)
	cases := []struct {
		method, target, body string
		status               int
		code                 string
		says                 string // part of the message
	}{
		{"GET", "/", "", 404, "not_found", "/"},
		{"GET", "/v1/KV/a", "", 404, "not_found", ""},
		{"GET", "//v1/kv/a", "", 404, "not_found", ""},
		{"GET", "/v1/kv/../status", "", 404, "not_found", "../status"}, // a key of that name
		{"GET", "/v1/members/abcdefghijklmnop/fire", "", 404, "not_found", ""},
		{"POST", "/v1/kv/a", "x", 405, "bad_request", "GET, PUT, DELETE"},
		{"PUT", "/v1/status", "", 405, "bad_request", "GET"},
		{"OPTIONS", "*", "", 404, "not_found", ""},
		{"GET", "/v1/kv/", "", 400, "bad_request", "empty"},
		{"GET", "/v1/kv/" + long, "", 400, "bad_request", "513 bytes"},
		{"GET", "/v1/kv/%ff", "", 400, "bad_request", "UTF-8"},
		{"PUT", "/v1/kv/a%00b", "x", 400, "bad_request", "NUL"},
		{"GET", "/v1/kv/a?stale=true", "", 400, "bad_request", `"stale"`},
		{"GET", "/v1/kv/a?consistency=old", "", 400, "bad_request", "stale or linearizable"},
		{"GET", "/v1/kv/a?consistency=stale&consistency=stale", "", 400, "bad_request", "2 times"},
		{"GET", "/v1/kv/a?%zz", "", 400, "bad_request", "query"},
		{"GET", "/v1/kv?prefix=%ff", "", 400, "bad_request", "UTF-8"},
		{"GET", "/v1/kv?limit=0", "", 400, "bad_request", "1 to 1000"},
		{"GET", "/v1/kv?limit=-1", "", 400, "bad_request", "whole number"},
		{"GET", "/v1/kv?limit=1001", "", 400, "bad_request", "1 to 1000"},
		{"PUT", "/v1/kv/a?if_index=x", "1", 400, "bad_request", "if_index"},
		{"PUT", "/v1/kv/a?ttl=30", "1", 400, "bad_request", "30s or 12h"},
		{"PUT", "/v1/kv/a?ttl=", "1", 400, "bad_request", "30s or 12h"},
		{"PUT", "/v1/kv/a?ttl=-1s", "1", 400, "bad_request", "ten years"},
		{"PUT", "/v1/kv/a?ttl=0s", "1", 400, "bad_request", "ten years"},
		{"PUT", "/v1/kv/a?ttl=87601h", "1", 400, "bad_request", "ten years"},
		{"DELETE", "/v1/kv/a?ttl=1s", "", 400, "bad_request", `"ttl"`},
		{"PUT", "/v1/kv/a?timeout=61s", "1", 400, "bad_request", "at most"},
		{"PUT", "/v1/kv/a?timeout=0s", "1", 400, "bad_request", "timeout"},
		{"PUT", "/v1/kv/a", strings.Repeat("x", 101), 413, "too_large", "100 bytes"},
		{"POST", "/v1/propose", strings.Repeat("x", 101), 413, "too_large", "100 bytes"},
		{"GET", "/v1/kv/a", "x", 400, "bad_request", "no body"},
		{"POST", "/v1/init", "x", 400, "bad_request", "no body"},
		{"POST", "/v1/txn", "", 400, "bad_request", "JSON"},
		{"POST", "/v1/txn", "{}", 400, "bad_request", "empty"},
		{"POST", "/v1/txn", `{"if":[]}`, 400, "bad_request", "if"},
		{"POST", "/v1/txn", `{"then":[]}{}`, 400, "bad_request", "goes on"},
		{"POST", "/v1/txn", `{"then":[{"op":"incr","key":"a"}]}`, 400, "bad_request", "then[0]"},
		{"POST", "/v1/txn", `{"else":[{"op":"put","key":"a"}]}`, 400, "bad_request", "else[0]"},
		{"POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value":"","value_base64":""}]}`, 400, "bad_request", "both"},
		{"POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value_base64":"?"}]}`, 400, "bad_request", "base64"},
		{"POST", "/v1/txn", `{"then":[{"op":"delete","key":"a","value":""}]}`, 400, "bad_request", "no value"},
		{"POST", "/v1/txn", `{"then":[{"op":"delete","key":"a","ttl":"1s"}]}`, 400, "bad_request", "no ttl"},
		{"POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value":"","ttl":"0s"}]}`, 400, "bad_request", "then[0]: a key can live"},
		{"POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value":"","ttl":"soon"}]}`, 400, "bad_request", "then[0]: ttl=soon"},
		{"POST", "/v1/txn", `{"then":[{"op":"delete","key":""}]}`, 400, "bad_request", "empty"},
		{"POST", "/v1/txn", "{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"\xff\"}]}", 400, "bad_request", "value_base64"},
		{"POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value":"` + strings.Repeat("x", 900) + `"}]}`, 413, "too_large", "transaction"},
		{"POST", "/v1/txn", strings.Repeat(" ", 200<<10), 413, "too_large", "bytes"},
		{"POST", "/v1/members", `{"id":"x"}`, 400, "bad_request", "16 characters"},
		{"POST", "/v1/members", `{"id":"abcdefghijklmnop","name":"` + strings.Repeat("n", 65) + `"}`, 400, "bad_request", "64"},
		{"DELETE", "/v1/members/..", "", 400, "bad_request", "ID"},
		{"POST", "/v1/join", `{"key":" "}`, 400, "bad_request", "empty"},
		{"POST", "/v1/keys", `{"action":"lose"}`, 404, "not_found", "cannot be changed"},
		{"GET", "/v1/watch?from=0", "", 400, "bad_request", "from=0"},
		{"GET", "/v1/watch?from=1.5", "", 400, "bad_request", "from"},
		{"GET", "/v1/watch?form=1", "", 400, "bad_request", `"form"`},
	}
	s := serve(t, Limits{MaxValueBytes: 100}, HistoryLimits{})
	for _, c := range cases {
		got := s.call(c.method, c.target, c.body)
		if got.status != c.status || got.code(t) != c.code || !strings.Contains(got.body, strings.ReplaceAll(c.says, `"`, `\"`)) {
			t.Errorf("%s %.60s %.80s: %d %s\nwant %d %s, and %q", c.method, c.target, c.body, got.status, got.body, c.status, c.code, c.says)
		}
	}
	if got := s.call("PUT", "/v1/status", ""); got.header.Get("Allow") != "GET" {
		t.Errorf("Allow: %q", got.header.Get("Allow"))
	}
	if s.node.index != 0 {
		t.Errorf("%d commands were proposed", s.node.index)
	}
}

func TestErrorsOfTheNode(t *testing.T) {
	cases := []struct {
		err     error
		status  int
		code    string
		onRead  int // status when the read's barrier fails so
		retries bool
	}{
		{raft.ErrNoLeader, 503, "no_leader", 503, true},
		{raft.ErrNotLeader, 503, "no_leader", 503, true},
		{raft.ErrNotFounded, 503, "not_founded", 503, false},
		{raft.ErrStopped, 503, "stopping", 503, true},
		{raft.ErrBusy, 429, "too_many_requests", 429, true},
		{raft.ErrDiskFull, 507, "disk_full", 507, true},
		{raft.ErrLogFull, 507, "log_full", 507, false},
		{raft.ErrTooLarge, 413, "too_large", 413, false},
		{raft.ErrOutcomeUnknown, 504, "outcome_unknown", 503, false},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, raft.ErrNoLeader), 503, "no_leader", 503, true},
		{context.DeadlineExceeded, 504, "outcome_unknown", 503, false},
		{raft.ErrAlreadyFounded, 409, "conflict", 409, false},
		{raft.ErrChangePending, 409, "conflict", 409, true},
		{raft.ErrBadChange, 409, "conflict", 409, false},
		{raft.ErrNoSuccessor, 409, "conflict", 409, false},
		{ErrBadKey, 400, "bad_request", 400, false},
		{errors.New("the moon is full"), 500, "internal", 500, false},
	}
	s := serve(t, Limits{}, HistoryLimits{})
	for _, c := range cases {
		s.node.fail(fmt.Errorf("trying: %w", c.err))
		for _, target := range []string{"PUT /v1/kv/a", "DELETE /v1/kv/a", "POST /v1/propose", "POST /v1/init"} {
			method, path, _ := strings.Cut(target, " ")
			got := s.call(method, path, "")
			if got.status != c.status || got.code(t) != c.code || strings.Contains(got.body, "retry_after_ms") != c.retries {
				t.Errorf("%v: %s: %d %s", c.err, target, got.status, got.body)
			}
		}
		for _, target := range []string{"/v1/kv/a", "/v1/kv"} {
			if got := s.call("GET", target, ""); got.status != c.onRead {
				t.Errorf("%v: GET %s: %d %s", c.err, target, got.status, got.body)
			}
			if got := s.call("GET", target+"?consistency=stale", ""); got.status == c.onRead {
				t.Errorf("%v: a stale GET %s: %d %s", c.err, target, got.status, got.body)
			}
		}
	}
}

func TestTheCallersTimeoutHolds(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.node.hold = make(chan struct{}) // for ever
	if got := s.call("PUT", "/v1/kv/a?timeout=1ms", "x"); got.status != 504 || got.code(t) != "outcome_unknown" {
		t.Errorf("a put: %+v", got)
	}
	if got := s.call("GET", "/v1/kv/a?timeout=1ms", ""); got.status != 503 || got.code(t) != "no_leader" {
		t.Errorf("a get: %+v", got)
	}
}

func TestKeysSurviveThePath(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	keys := []string{
		"a/b", "a//b", "/a", "a/", "/", "//", ".", "..", "../a", "a/../b", "a/./b", "%2F", "a%2Fb", "%", "a b", "a+b", "a?b", "a#b",
		"é/ü", "\x01\x7f", "a&b=c;d", "a\\b", "\"", "v1/status", strings.Repeat("é", 256),
	}
	for i, key := range keys {
		index, err := s.client.Put(t.Context(), key, []byte(key), client.PutOptions{})
		if err != nil || index != uint64(i+1) {
			t.Errorf("put %q: %d, %v", key, index, err)
		}
		if value, at, ok := s.node.store.Get(key); !ok || string(value) != key || uint64(at) != index {
			t.Errorf("the state has no key %q", key)
		}
		if got, err := s.client.Get(t.Context(), key, client.GetOptions{}); err != nil || string(got.Value) != key || got.Index != index {
			t.Errorf("get %q: %+v, %v", key, got, err)
		}
	}
	// As other programs send them.
	for target, key := range map[string]string{
		"/v1/kv/a//b": "a//b", "/v1/kv/a/../b": "a/../b", "/v1/kv/..": "..", "/v1/kv/a%2Fb": "a/b", "/v1/kv/a/b": "a/b",
		"/v1/kv/a%252Fb": "a%2Fb", "/v1/kv//a": "/a", "/v1/kv/%2e%2E/a": "../a", "/v1/kv/a+b": "a+b", "/v1/kv/a%20b": "a b",
	} {
		if got := s.call("GET", target, ""); got.status != 200 || got.body != key {
			t.Errorf("GET %s: %d %q, want %q", target, got.status, got.body, key)
		}
	}
}

func TestStaleReadsSayHowStale(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.call("PUT", "/v1/kv/a", "x")
	s.node.fail(raft.ErrNoLeader)
	ago, none := int64(1500), int64(0)
	for want, contact := range map[string]*int64{"unknown": nil, "1500": &ago, "0": &none} {
		s.node.status.Cluster.LeaderContactMS = contact
		got := s.call("GET", "/v1/kv/a?consistency=stale", "")
		if got.body != "x" || got.header.Get(api.HeaderLeaderContact) != want || got.header.Get(api.HeaderApplied) != "1" {
			t.Errorf("want %s: %+v", want, got)
		}
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %.200q", err, text)
	}
}
