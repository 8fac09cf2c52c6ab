package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const members = `[
 {"id":"aaaabbbbccccdddd","name":"kitchen","role":"voter","leader":true,"self":true},
 {"id":"aaaabbbbccccdddz","name":"attic","role":"voter","leader":false,"address":"10.0.0.2:7521","transport":"udp","last_contact_ms":120,"lag":4},
 {"id":"eeeeffffgggghhhh","name":"cel\u001b[31mlar","role":"learner","leader":false}]`

const status = `{"healthy":%,"warnings":[],"version":"v1","uptime_ms":61000,
 "node":{"id":"aaaabbbbccccdddd","name":"kitchen","state":"member","role":"leader","term":3,"commit":17,"applied":17,"last":18,"stable":18,"pid":1},
 "cluster":{"name":"default","id":"c-id","leader":"aaaabbbbccccdddd","leader_name":"kitchen"},
 "members":` + members + `,
 "traffic":{"sent_packets":1,"sent_bytes":20000,"received_packets":2,"received_bytes":30,"dropped":{"replay":1,"bad_key":5}},
 "storage":{"saves":9,"log_bytes":100},
 "state":{"keys":12,"expiring":3,"bytes":20480,"idempotency_keys":5}}`

const changed = `{"id":"x"}`

var fakeAnswers = map[string]string{
	"POST /v1/propose":                          `{"index":17,"term":3,"result":{"balance":5}}`,
	"GET /v1/kv/door":                           "open\x00\x1b[31m",
	"GET /v1/kv/door%2Ffront":                   "shut",
	"GET /v1/kv/dir%20a":                        "spaced",
	"GET /v1/kv/-5":                             "minus",
	"GET /v1/kv/absent":                         `404 {"error":{"code":"not_found","message":"there is no key \u001b[2J\"absent\""}}`,
	"GET /v1/kv/old?consistency=stale":          "v",
	"PUT /v1/kv/door":                           `{"index":18,"term":3}`,
	"PUT /v1/kv/door?if_index=0":                `409 {"error":{"code":"compare_failed","message":"the key changed at index 7"}}`,
	"PUT /v1/kv/door?if_index=7":                `{"index":19,"term":3}`,
	"PUT /v1/kv/-k":                             `{"index":21,"term":3}`,
	"PUT /v1/kv/noleader":                       `503 {"error":{"code":"no_leader","message":"no leader is known"}}`,
	"DELETE /v1/kv/door":                        `{"index":20,"term":3}`,
	"GET /v1/kv?prefix=":                        `{"applied":9,"items":[{"key":"a\tb","value":"x\ny","index":1}],"next":"a\tb"}`,
	"GET /v1/kv?after=a%09b&prefix=":            `{"applied":10,"items":[{"key":"c","value_base64":"/w==","index":2}]}`,
	"PUT /v1/kv/door?ttl=90s":                   `{"index":22,"term":3}`,
	"GET /v1/kv/fleeting":                       "v",
	"GET /v1/kv?prefix=ttl":                     `{"applied":9,"items":[{"key":"k","value":"v","index":1,"expires_in_ms":90000}]}`,
	"GET /v1/kv?prefix=none":                    `{"applied":9,"items":[]}`,
	"GET /v1/members":                           `{"members":` + members + `}`,
	"POST /v1/members":                          changed,
	"POST /v1/members/aaaabbbbccccdddz/promote": changed,
	"POST /v1/members/eeeeffffgggghhhh/demote":  changed,
	"POST /v1/members/eeeeffffgggghhhh/lead":    changed,
	"POST /v1/transfer":                         changed,
	"DELETE /v1/members/aaaabbbbccccdddz":       changed,
	"GET /v1/status":                            strings.Replace(status, "%", "true", 1),
	"POST /v1/init":                             `{"cluster_id":"c-id","key":"er1-secret"}`,
	"POST /v1/join":                             `{}`,
}

func TestCommandLines(t *testing.T) {
	agent := serveFake(t, "", answers(fakeAnswers))
	tests := []struct {
		name   string
		line   string // split at spaces; %s is a space inside an argument
		stdin  string
		code   int
		stdout string // exactly
		stderr string // contained
	}{
		{name: "propose", line: "propose valve%sopen", stdout: "17\n{\"balance\":5}\n"},
		{name: "propose standard input", line: "propose", stdin: "cmd", stdout: "17\n{\"balance\":5}\n"},
		{name: "propose as JSON", line: "propose x --json", stdout: `{"index":17,"term":3,"result":{"balance":5}}` + "\n"},
		{name: "propose too much", line: "propose -", stdin: strings.Repeat("x", maxInput+1), code: 1, stderr: "standard input has more than"},
		{name: "get is exact where no terminal is", line: "get door", stdout: "open\x00\x1b[31m"},
		{name: "get as JSON", line: "get door --json", stdout: `{"key":"door","value":"open\u0000\u001b[31m","index":7}` + "\n"},
		{name: "get a key with a slash", line: "get door/front", stdout: "shut"},
		{name: "get a key with a space", line: "get dir%sa", stdout: "spaced"},
		{name: "get a key that looks like a flag", line: "get -- -5", stdout: "minus"},
		{name: "the same without --", line: "get -5", code: 2, stderr: "there is no flag -5 (put -- before"},
		{name: "get absent", line: "get absent", code: 1, stderr: "edgeraft get: there is no key \\x1b[2J\"absent\""},
		{name: "get stale", line: "get --stale old", stdout: "v", stderr: "as of index 9; this device last heard from a leader 1.2s ago"},
		{name: "put", line: "put door open", stdout: "18\n"},
		{name: "put what looks like flags", line: "put -- -k -5", stdout: "21\n"},
		{name: "put as JSON", line: "put door open --json", stdout: "{\"index\":18}\n"},
		{name: "put only if absent", line: "put --if-index 0 door open", code: 1, stderr: "the key changed at index 7 (compare_failed)"},
		{name: "put if unchanged, flag last", line: "put door open --if-index=7", stdout: "19\n"},
		{name: "put without a leader", line: "put noleader x", code: 1, stderr: "no leader is known"},
		{name: "put with a TTL", line: "put --ttl 90s door ajar", stdout: "22\n"},
		{name: "put with a bad TTL", line: "put --ttl 90 door ajar", code: 2, stderr: "such as 30s or 12h"},
		{name: "put with no TTL at all", line: "put --ttl 0s door ajar", code: 2, stderr: "such as 30s or 12h"},
		{name: "put with a key", line: "put door open --idempotency-key k --key-since 3", stdout: "18\n"},
		{name: "put with an empty key", line: "put door open --idempotency-key=", code: 2, stderr: "the key is empty"},
		{name: "put with a bad since", line: "put door open --idempotency-key k --key-since 0", code: 2, stderr: "1 or more"},
		{name: "put with since only", line: "put door open --key-since 3", code: 2, stderr: "--key-since goes with"},
		{name: "put with a bad index", line: "put a b --if-index -1", code: 2, stderr: "an index is a whole number"},
		{name: "put without a value", line: "put door", code: 2, stderr: "edgeraft put KEY VALUE|-"},
		{name: "put too many", line: "put door a b", code: 2, stderr: `does not know what to do with "b"`},
		{name: "delete", line: "delete door", stdout: "20\n"},
		{name: "delete absent", line: "delete nothing", code: 1, stderr: "(not_found)"},
		{name: "list over two pages", line: "list", stdout: "a\\tb\tx\\ny\nc\t\\xff\n"},
		{name: "list as JSON over two pages", line: "list --json", stdout: `{"applied":9,"items":[` + "\n" +
			`{"key":"a\tb","value":"x\ny","index":1},` + "\n" + `{"key":"c","value_base64":"/w==","index":2}]}` + "\n"},
		{name: "list what expires", line: "list --prefix ttl", stdout: "k\tv\texpires in 1m30s\n"},
		{name: "get what expires as JSON", line: "get fleeting --json", stdout: `{"key":"fleeting","value":"v","index":7,"expires_in_ms":1500}` + "\n"},
		{name: "get what expires", line: "get fleeting", stdout: "v"},
		{name: "list nothing as JSON", line: "list --json --prefix none", stdout: "{\"applied\":9,\"items\":[]}\n"},
		{name: "members", line: "members list", stdout: "" +
			"NAME            ID        ROLE           PATH               RTT  LAG  HEARD\n" +
			"kitchen (self)  aaaabbbb  voter, leader  -                  -    -    -\n" +
			"attic           aaaabbbb  voter          udp 10.0.0.2:7521  -    4    120ms ago\n" +
			"cel\\x1b[31mlar  eeeeffff  learner        -                  -    -    never\n"},
		{name: "members add", line: "members add abcdefgh234567ab --name shed", stdout: "shed (abcdefgh234567ab) is a learner now.\n"},
		{name: "members add nonsense", line: "members add shed", code: 2, stderr: `"shed" is not the ID of a device`},
		{name: "members promote by name", line: "members promote attic", stdout: "attic (aaaabbbbccccdddz) is a voter now.\n"},
		{name: "members demote by prefix", line: "members demote eeee --json", stdout: "{\"id\":\"eeeeffffgggghhhh\"}\n"},
		{name: "members remove by ID", line: "members remove aaaabbbbccccdddz", stdout: "attic (aaaabbbbccccdddz) is no member any more.\n"},
		{name: "an ambiguous prefix", line: "members remove aaaabbbb", code: 2, stderr: "could be aaaabbbbccccdddd or aaaabbbbccccdddz"},
		{name: "a prefix that is too short", line: "members remove eee", code: 1, stderr: `no member is "eee"`},
		{name: "members alone", line: "members", code: 2, stderr: "edgeraft help members"},
		{name: "init", line: "init --cluster home", stdout: "" +
			"This device founded the cluster home (c-id).\n\nKey: er1-secret\n" +
			"Keep it secret: whoever has it can join the cluster, and read and change its state.\n\n" +
			"On the next device, type:\n  edgeraft join --cluster home er1-secret\n"},
		{name: "init as JSON", line: "init --json", stdout: `{"cluster_id":"c-id","key":"er1-secret"}` + "\n"},
		{name: "join with a bad key", line: "join er1-nonsense", code: 2, stderr: "edgeraft join: "},
		{name: "join with two keys", line: "join er1-x --file y", code: 2, stderr: "either as an argument or with --file"},
		{name: "a bad timeout", line: "get door --timeout 0s", code: 2, stderr: "--timeout must be more than 0"},
		{name: "an unknown flag", line: "get door --colour", code: 2, stderr: "See: edgeraft get --help"},
		{name: "an unknown configuration file", line: "get door --config /no/such", code: 2, stderr: "read the configuration: open /no/such"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			args := strings.Fields(tt.line)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "%s", " ")
			}
			got := agent.run(t, tt.stdin, args...)
			if got.code != tt.code {
				t.Errorf("exit code %d, want %d", got.code, tt.code)
			}
			if got.stdout != tt.stdout {
				t.Errorf("stdout:\n%q\nwant:\n%q", got.stdout, tt.stdout)
			}
			if tt.stderr == "" && got.stderr != "" || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("stderr %q, want %q", got.stderr, tt.stderr)
			}
		})
	}
}

// TestRequests proves that arguments reach the agent as they were given.
func TestRequests(t *testing.T) {
	agent := serveFake(t, "", answers(fakeAnswers))
	agent.run(t, "", "propose", "valve open")
	agent.run(t, "from\nstdin", "put", "door", "-")
	agent.run(t, "", "members", "add", "abcdefgh234567ab", "--name", "shed")
	agent.run(t, "", "propose", "pay", "--idempotency-key", "k 1")
	agent.run(t, "", "delete", "door", "--idempotency-key", "k", "--key-since", "3")
	key := strings.TrimSpace(runLine(t, "", "keygen").stdout)
	file := filepath.Join(t.TempDir(), "k")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, join := range []outcome{
		agent.run(t, "", "join", key),
		agent.run(t, key+"\n", "join"),
		agent.run(t, "", "join", "--file", file),
	} {
		if join.code != 0 || !strings.Contains(join.stdout, "This device has the key of the cluster default now.") {
			t.Errorf("join: %+v", join)
		}
	}
	want := []string{
		"POST /v1/propose valve open",
		"PUT /v1/kv/door from\nstdin",
		`POST /v1/members {"id":"abcdefgh234567ab","name":"shed"}`,
		"POST /v1/propose pay key k 1 since",
		"DELETE /v1/kv/door  key k since 3",
		`POST /v1/join {"key":"` + key + `"}`,
		`POST /v1/join {"key":"` + key + `"}`,
		`POST /v1/join {"key":"` + key + `"}`,
	}
	if got := agent.seen(); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestStatus(t *testing.T) {
	agent := serveFake(t, "", answers(fakeAnswers))
	got := agent.run(t, "", "status")
	want := `Health   healthy
Device   kitchen (aaaabbbb), leader in term 3, up 1m1s, version v1
Cluster  default (c-id), leader kitchen (aaaabbbb)
Log      commit 17, applied 17, last 18, on stable storage 18
State    12 keys (3 expire), 20 KiB; 5 idempotency keys
Storage  9 saves, log 100 bytes
Traffic  sent 1 packets, 19 KiB; received 2 packets, 30 bytes; dropped bad_key 5 replay 1

NAME            ID        ROLE           PATH               RTT  LAG  HEARD
`
	if got.code != 0 || !strings.HasPrefix(got.stdout, want) {
		t.Errorf("got %d:\n%s\nwant:\n%s", got.code, got.stdout, want)
	}

	sick := strings.Replace(status, "%", "false", 1)
	sick = strings.Replace(sick, `"warnings":[]`, `"warnings":[{"code":"no_quorum","message":"1 of 3 voters answers.","next":"edgeraft status --watch"}]`, 1)
	agent = serveFake(t, "", answers(map[string]string{"GET /v1/status": sick}))
	got = agent.run(t, "", "status")
	if got.code != 1 || got.stderr != "" || !strings.HasPrefix(got.stdout, "WARNING  1 of 3 voters answers.\n  next:  edgeraft status --watch\n\nHealth   NOT healthy: this device cannot do all of its work\nDevice ") {
		t.Errorf("unhealthy: %+v", got)
	}
	got = agent.run(t, "", "status", "--json")
	if got.code != 1 || !strings.HasPrefix(got.stdout, `{"healthy":false,`) || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("unhealthy as JSON: %+v", got)
	}
}

func TestStatusWatchEndsWithTheContext(t *testing.T) {
	agent := serveFake(t, "", answers(fakeAnswers))
	ctx, cancel := context.WithCancel(context.Background())
	lines := &countingWriter{after: 3, then: cancel}
	code := run(ctx, []string{"status", "--watch", "--json", "--interval", "100ms", "--socket", agent.socket},
		nil, lines, io.Discard, []string{"HOME=" + t.TempDir()})
	if code != 0 || lines.lines < 3 {
		t.Errorf("exit code %d after %d lines", code, lines.lines)
	}
}

// countingWriter calls then once after lines were written.
type countingWriter struct {
	bytes.Buffer
	lines, after int
	then         func()
}

func (c *countingWriter) Write(b []byte) (int, error) {
	c.lines += bytes.Count(b, []byte("\n"))
	n, err := c.Buffer.Write(b)
	if c.lines >= c.after {
		c.then()
	}
	return n, err
}

func TestUnreachable(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	for _, line := range []string{"status", "get k", "put k v", "delete k", "list", "propose c", "watch", "members list", "members remove attic"} {
		got := runLine(t, "", append(strings.Fields(line), "--socket", socket)...)
		if got.code != 3 || !strings.Contains(got.stderr, socket) || got.stdout != "" {
			t.Errorf("%s: %+v", line, got)
		}
	}
}

// TestAgentDies: an agent that goes away instead of answering can't be reached
// either, and a change's outcome is then said to be unknown.
func TestAgentDies(t *testing.T) {
	agent := serveFake(t, "", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if got := agent.run(t, "", "get", "k"); got.code != 3 {
		t.Errorf("get: %+v", got)
	}
	if got := agent.run(t, "", "put", "k", "v"); got.code != 3 || !strings.Contains(got.stderr, "not known whether") {
		t.Errorf("put: %+v", got)
	}
}

// TestAKeyIsTriedAgain: with a key a change whose outcome is not known is
// repeated, and without one it is not.
func TestAKeyIsTriedAgain(t *testing.T) {
	var tries atomic.Int64
	agent := serveFake(t, "", func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1)%2 == 1 {
			w.WriteHeader(504)
			_, _ = io.WriteString(w, `{"error":{"code":"outcome_unknown","message":"who knows","retry_after_ms":1}}`)
			return
		}
		_, _ = io.WriteString(w, `{"index":5,"term":1}`)
	})
	if got := agent.run(t, "", "propose", "x", "--idempotency-key", "k"); got.code != 0 || got.stdout != "5\n" || tries.Load() != 2 {
		t.Errorf("with a key: %+v after %d tries", got, tries.Load())
	}
	if got := agent.run(t, "", "propose", "x"); got.code != 1 || !strings.Contains(got.stderr, "who knows") || tries.Load() != 3 {
		t.Errorf("without: %+v after %d tries", got, tries.Load())
	}
}

func TestTimeoutAndInterrupt(t *testing.T) {
	agent := serveFake(t, "", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	got := agent.run(t, "", "get", "k", "--timeout", "20ms")
	if got.code != 1 || !strings.Contains(got.stderr, "no answer in time (--timeout allows more)") {
		t.Errorf("timeout: %+v", got)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	var stderr bytes.Buffer
	code := run(ctx, []string{"get", "k", "--socket", agent.socket}, nil, io.Discard, &stderr, []string{"HOME=" + t.TempDir()})
	if code != 1 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("interrupt: %d %s", code, stderr.String())
	}
}

// brokenWriter is a full disk.
type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestFailedOutputIsNoSuccess(t *testing.T) {
	agent := serveFake(t, "", answers(fakeAnswers))
	for _, line := range []string{"get door", "list", "status", "version", "help", "get --help"} {
		args := strings.Fields(line)
		if args[0] != "version" && args[0] != "help" {
			args = append(args, "--socket", agent.socket)
		}
		var stderr bytes.Buffer
		code := run(context.Background(), args, nil, brokenWriter{}, &stderr, []string{"HOME=" + t.TempDir()})
		if code != 1 || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%s: exit code %d, stderr %q", line, code, stderr.String())
		}
	}
}

func TestHelp(t *testing.T) {
	all := runLine(t, "", "help")
	if all.code != 0 {
		t.Errorf("help: %+v", all)
	}
	for _, c := range commands {
		if !strings.Contains(all.stdout, "  "+c.name+" ") {
			t.Errorf("help does not list %s", c.name)
		}
		for _, line := range []string{c.name + " --help", "help " + c.name, c.name + " -h"} {
			got := runLine(t, "", strings.Fields(line)...)
			_, example, found := strings.Cut(got.stdout, "\nExample:\n  ")
			if got.code != 0 || !found || !strings.HasPrefix(example, "edgeraft "+c.name) {
				t.Errorf("%s: %+v", line, got)
			}
			if c.json != strings.Contains(got.stdout, "--json") || (c.scope.agent() || c.scope.settings()) != strings.Contains(got.stdout, "--socket TEXT") {
				t.Errorf("%s: --json or --socket is missing, or too much:\n%s", line, got.stdout)
			}
		}
	}
	if got := runLine(t, "", "help", "members"); got.code != 0 || !strings.Contains(got.stdout, "members promote") || strings.Contains(got.stdout, "propose") {
		t.Errorf("help members: %+v", got)
	}
	if got := runLine(t, "", "run", "--help"); !strings.Contains(got.stdout, "--udp-listen TEXT") || !strings.Contains(got.stdout, "(default :7521)") {
		t.Errorf("run --help lacks settings: %s", got.stdout)
	}
	for _, line := range []string{"", "gett", "help gett", "members ls"} {
		if got := runLine(t, "", strings.Fields(line)...); got.code != 2 || got.stdout != "" || got.stderr == "" {
			t.Errorf("%q: %+v", line, got)
		}
	}
	if got := runLine(t, "", "--version"); got.code != 0 || !strings.HasPrefix(got.stdout, "edgeraft ") {
		t.Errorf("--version: %+v", got)
	}
}

func TestKeygenToFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	if got := runLine(t, "", "keygen", "--out", file); got.code != 0 {
		t.Fatalf("keygen: %+v", got)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	if got := runLine(t, "", "keygen", "--out", file); got.code != 1 {
		t.Errorf("a key was overwritten: %+v", got)
	}
	if got := runLine(t, "", "keygen", "--out", file, "--force"); got.code != 0 {
		t.Errorf("--force: %+v", got)
	}
}

func TestAgentSocket(t *testing.T) {
	dir := t.TempDir()
	there, absent := filepath.Join(dir, "there"), filepath.Join(dir, "absent")
	if err := os.WriteFile(there, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, socket string
		wasSet       bool
		system, want string
	}{
		{"what was set counts", absent, true, there, absent},
		{"one's own agent goes first", there, false, dir, there},
		{"the system's agent when there is no own one", absent, false, there, there},
		{"neither: one's own, for the message", absent, false, absent + "2", absent},
	}
	for _, tt := range tests {
		if got := agentSocket(tt.socket, tt.wasSet, tt.system); got != tt.want {
			t.Errorf("%s: %s", tt.name, got)
		}
	}
}
