package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

const memberID = "abcdefghijklmnop"

// repeated reports whether an answer says so.
func (a answer) repeated() bool { return a.header.Get(api.HeaderRepeated) == "true" }

func TestARepetitionIsAnsweredLikeTheFirst(t *testing.T) {
	for _, c := range []struct{ method, target, body string }{
		{"POST", "/v1/propose", "turn on"},
		{"PUT", "/v1/kv/a", "2"},
		{"PUT", "/v1/kv/a?if_index=1", "2"},
		{"PUT", "/v1/kv/a?if_index=7", "2"}, // fails, both times
		{"DELETE", "/v1/kv/a", ""},
		{"DELETE", "/v1/kv/absent", ""},
		{"POST", "/v1/txn", `{"compare":[{"key":"a","index":1}],"then":[{"op":"put","key":"a","value":"2"}]}`},
	} {
		s := serve(t, Limits{}, HistoryLimits{})
		s.call("PUT", "/v1/kv/a", "1")
		first := s.call(c.method, c.target, c.body, "Idempotency-Key: k")
		s.call("PUT", "/v1/kv/a", "3")
		again := s.call(c.method, c.target, c.body, "Idempotency-Key: k", "Edgeraft-Key-Since: 1")
		if first.repeated() || !again.repeated() {
			t.Errorf("%s %s: repeated %v, then %v", c.method, c.target, first.repeated(), again.repeated())
		}
		if first.status != again.status || first.body != again.body || first.header.Get(api.HeaderIndex) != again.header.Get(api.HeaderIndex) {
			t.Errorf("%s %s: %+v, then %+v", c.method, c.target, first, again)
		}
		if value, _, _ := s.node.store.Get("a"); string(value) != "3" {
			t.Errorf("%s %s: it took effect again: %q", c.method, c.target, value)
		}
	}
}

func TestALostAnswerIsHadByRepeating(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.node.lost = 1
	got := s.call("POST", "/v1/propose", "pay", "Idempotency-Key: k")
	if got.status != 504 || got.code(t) != "outcome_unknown" || !strings.Contains(got.body, "repeat it with the same Idempotency-Key") ||
		!strings.Contains(got.body, `"retry_after_ms":500`) {
		t.Errorf("the lost answer: %+v", got)
	}
	if got = s.call("POST", "/v1/propose", "pay", "Idempotency-Key: k"); got.body != `{"index":1,"term":3}`+"\n" || !got.repeated() {
		t.Errorf("the repetition: %+v", got)
	}
	s.node.lost = 1
	if got = s.call("POST", "/v1/propose", "pay"); strings.Contains(got.body, "same") || !strings.Contains(got.body, "look before") {
		t.Errorf("without a key: %+v", got)
	}
}

func TestRefusedKeys(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{}) // whose table has room for 4
	key := func(k string) string { return "Idempotency-Key: " + k }
	since := func(i int) string { return fmt.Sprint("Edgeraft-Key-Since: ", i) }
	s.call("PUT", "/v1/kv/a", "1")
	s.call("PUT", "/v1/kv/a", "2", key("first"), since(1))
	got := s.call("PUT", "/v1/kv/a", "3", key("first"), since(1))
	if got.status != 409 || got.code(t) != api.CodeKeyReused || !strings.Contains(got.body, "index 2") {
		t.Errorf("another change: %+v", got)
	}
	got = s.call("PUT", "/v1/kv/a", "3", key("ahead"), since(4))
	if got.status != 400 || got.code(t) != api.CodeBadRequest || !strings.Contains(got.body, "4 is ahead") {
		t.Errorf("since ahead of the log: %+v", got)
	}
	for _, k := range []string{"b", "c", "d", "e"} {
		s.call("PUT", "/v1/kv/a", k, key(k))
	}
	got = s.call("PUT", "/v1/kv/a", "2", key("first"), since(1))
	if got.status != 409 || got.code(t) != api.CodeKeyForgotten {
		t.Errorf("a forgotten key: %+v", got)
	}
	s.node.pass(1000)
	got = s.call("PUT", "/v1/kv/a", "f", key("f"))
	wait := fmt.Sprintf(`"retry_after_ms":%d`, once.KeepAtLeast-1000+1)
	if got.status != 429 || got.code(t) != api.CodeTooManyKeys || !strings.Contains(got.body, wait) {
		t.Errorf("too many keys: %+v", got)
	}
	s.node.pass(once.KeepAtLeast)
	if got = s.call("PUT", "/v1/kv/a", "f", key("f")); got.status != 200 {
		t.Errorf("later: %+v", got)
	}
	if value, _, _ := s.node.store.Get("a"); string(value) != "f" {
		t.Errorf("in the end it is %q", value)
	}
}

func TestMalformedKeys(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	for says, headers := range map[string][]string{
		"1 to 64 bytes, this one 0":  {"Idempotency-Key:"},
		"1 to 64 bytes, this one 65": {"Idempotency-Key: " + strings.Repeat("k", 65)},
		"can be given once":          {"Idempotency-Key: a", "Idempotency-Key: a"},
		"and there is none":          {"Edgeraft-Key-Since: 1"},
		"-Since: 0":                  {"Idempotency-Key: a", "Edgeraft-Key-Since: 0"},
		"-Since: x":                  {"Idempotency-Key: a", "Edgeraft-Key-Since: x"},
	} {
		for _, target := range []string{"PUT /v1/kv/a", "DELETE /v1/kv/a", "POST /v1/propose", "POST /v1/txn"} {
			method, path, _ := strings.Cut(target, " ")
			if got := s.call(method, path, "", headers...); got.status != 400 || got.code(t) != "bad_request" || !strings.Contains(got.body, says) {
				t.Errorf("%s with %q: %+v", target, headers, got)
			}
		}
	}
	if got := s.call("POST", "/v1/init", "", "Idempotency-Key: a", "Edgeraft-Key-Since: 1"); got.status != 400 {
		t.Errorf("init with since: %+v", got)
	}
	if got := s.call("POST", "/v1/transfer", "", "Idempotency-Key: a"); got.status != 400 || !strings.Contains(got.body, "name the successor") {
		t.Errorf("a transfer to anybody: %+v", got)
	}
	if got := s.call("GET", "/v1/kv?prefix=x", "", "Idempotency-Key:"); got.status != 200 {
		t.Errorf("a read: %+v", got)
	}
	if s.node.index != 0 {
		t.Errorf("%d commands were proposed", s.node.index)
	}
	if got := s.call("PUT", "/v1/kv/a", "x", "Idempotency-Key: "+strings.Repeat("k", 64)); got.status != 200 {
		t.Errorf("a key of 64 bytes: %+v", got)
	}
}

func TestMemberChangesWithAKeyFindWhatTheyWant(t *testing.T) {
	learner, voter := api.Member{ID: memberID, Role: "learner"}, api.Member{ID: memberID, Role: "voter"}
	cases := []struct {
		target, body string
		members      []api.Member
		status       int // of a repetition that raft refuses
	}{
		{"POST /v1/members", `{"id":"` + memberID + `"}`, []api.Member{learner}, 200},
		{"POST /v1/members", `{"id":"` + memberID + `"}`, []api.Member{voter}, 200},
		{"POST /v1/members", `{"id":"` + memberID + `"}`, nil, 409},
		{"POST /v1/members/" + memberID + "/promote", "", []api.Member{voter}, 200},
		{"POST /v1/members/" + memberID + "/promote", "", []api.Member{learner}, 409},
		{"POST /v1/members/" + memberID + "/demote", "", []api.Member{learner}, 200},
		{"POST /v1/members/" + memberID + "/demote", "", []api.Member{voter}, 409},
		{"POST /v1/members/" + memberID + "/demote", "", nil, 409},
		{"DELETE /v1/members/" + memberID, "", nil, 200},
		{"DELETE /v1/members/" + memberID, "", []api.Member{voter}, 409},
	}
	s := serve(t, Limits{}, HistoryLimits{})
	s.node.badChange = true
	for _, c := range cases {
		s.node.status.Members = c.members
		method, path, _ := strings.Cut(c.target, " ")
		if got := s.call(method, path, c.body); got.status != 409 {
			t.Errorf("%s without a key: %+v", c.target, got)
		}
		got := s.call(method, path, c.body, "Idempotency-Key: k")
		if got.status != c.status || got.repeated() != (c.status == 200) {
			t.Errorf("%s with members %+v: %+v", c.target, c.members, got)
		}
	}
}

func TestInitWithAKey(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.node.fail(raft.ErrStopped) // it was founded, but not said
	if got := s.call("POST", "/v1/init", "", "Idempotency-Key: k"); got.status != 503 {
		t.Errorf("the first: %+v", got)
	}
	s.node.fail(raft.ErrAlreadyFounded)
	s.node.status.Cluster.ID = "c"
	if got := s.call("POST", "/v1/init", "", "Idempotency-Key: k"); got.body != `{"cluster_id":"c"}`+"\n" || !got.repeated() {
		t.Errorf("the repetition: %+v", got)
	}
	if got := s.call("POST", "/v1/init", "", "Idempotency-Key: other"); got.status != 409 {
		t.Errorf("another one: %+v", got)
	}
	s.node.fail(nil)
	s.node.status.Cluster.ID = ""
	for range 2 {
		if got := s.call("POST", "/v1/init", "", "Idempotency-Key: l"); got.body != `{"cluster_id":"c","key":"k"}`+"\n" {
			t.Errorf("with its answer: %+v", got)
		}
		s.node.status.Cluster.ID = "c"
	}
}

func TestKeysExpire(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.node.pass(1000)
	s.call("PUT", "/v1/kv/a?ttl=30s", "1")
	s.call("POST", "/v1/txn", `{"then":[{"op":"put","key":"b","value":"2","ttl":"1m"},{"op":"put","key":"c","value":"3"}]}`)
	s.node.pass(10_000)
	if got := s.call("GET", "/v1/kv/a", ""); got.header.Get(api.HeaderExpiresIn) != "20000" {
		t.Errorf("a: %+v", got)
	}
	if got := s.call("GET", "/v1/kv/c", ""); got.header.Get(api.HeaderExpiresIn) != "" {
		t.Errorf("c: %+v", got)
	}
	want := `{"applied":2,"items":[{"key":"a","value":"1","index":1,"expires_in_ms":20000},{"key":"b","value":"2","index":2,"expires_in_ms":50000},{"key":"c","value":"3","index":2}]}` + "\n"
	if got := s.call("GET", "/v1/kv", ""); got.body != want {
		t.Errorf("list: %s", got.body)
	}
	s.node.pass(20_000)
	if got := s.call("GET", "/v1/kv/a", ""); got.status != 200 || got.header.Get(api.HeaderExpiresIn) != "1" {
		t.Errorf("at its deadline: %+v", got)
	}
	s.node.pass(1)
	if got := s.call("GET", "/v1/kv/a", ""); got.status != 404 {
		t.Errorf("one ms later: %+v", got)
	}
	s.node.pass(60_000)
	changes, _, _, err := s.history.read(3)
	if err != nil || len(changes) != 2 {
		t.Fatalf("%+v, %v", changes, err)
	}
	w := &watcher{}
	if got, want := string(w.encode(changes)), `{"index":3,"term":3,"kind":"expire","key":"a"}`+"\n"+`{"index":4,"term":3,"kind":"expire","key":"b"}`+"\n"; got != want {
		t.Errorf("watched %s, want %s", got, want)
	}
}

// What the socket takes, the log can store.
func TestTheLargestChangeFitsTheLog(t *testing.T) {
	if most := kv.MaxValueBytes + kv.MaxOverhead + once.MaxOverhead; most > wire.MaxData {
		t.Errorf("the largest put with a key has %d bytes, an entry may have %d", most, wire.MaxData)
	}
}
