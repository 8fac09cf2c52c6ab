package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/raft"
)

func (n *instantNode) Backup(ctx context.Context) (backup.Header, []byte, error) {
	if err := n.failure(ctx); err != nil {
		return backup.Header{}, nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return backup.Header{
		ClusterID: n.status.Cluster.ID, Index: uint64(n.index), Term: 3, TimeMS: uint64(n.now), Keys: uint64(n.store.Stats().Keys),
	}, n.top.Backup(), nil
}

// fill puts n keys of 10,000 bytes, and says in which cluster.
func (s *socket) fill(n int) {
	s.t.Helper()
	s.node.status.Cluster.ID = "here"
	for i := range n {
		value := bytes.Repeat([]byte{byte(i)}, 10_000)
		if _, err := s.client.Put(s.t.Context(), fmt.Sprintf("key-%03d", i), value, client.PutOptions{}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *socket) backup(opts client.BackupOptions) []byte {
	s.t.Helper()
	stream, size, err := s.client.Backup(s.t.Context(), opts)
	if err != nil {
		s.t.Fatal(err)
	}
	defer stream.Close()
	data, err := io.ReadAll(stream)
	if err != nil || int64(len(data)) != size {
		s.t.Fatalf("%d of %d bytes: %v", len(data), size, err)
	}
	return data
}

func (s *socket) restore(data []byte) (api.Restored, error) {
	return s.client.Restore(s.t.Context(), bytes.NewReader(data), int64(len(data)))
}

func TestBackupAndRestore(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(30)
	saved := s.backup(client.BackupOptions{})
	r, err := backup.NewReader(bytes.NewReader(saved))
	if err != nil || r.Header.Index != 30 || r.Header.Keys != 30 || r.Header.Stale {
		t.Fatalf("%+v, %v", r.Header, err)
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if _, err := s.client.Put(t.Context(), fmt.Sprintf("key-%03d", i), []byte("later"), client.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.restore(saved)
	if err != nil || got.Keys != 30 || got.Of.Index != 30 || got.Of.ClusterID != "here" || got.Index != uint64(s.node.index) {
		t.Fatalf("%+v, %v", got, err)
	}
	value, err := s.client.Get(t.Context(), "key-007", client.GetOptions{})
	if err != nil || !bytes.Equal(value.Value, bytes.Repeat([]byte{7}, 10_000)) || value.Index != got.Index {
		t.Errorf("%d bytes at %d, %v; restored at %d", len(value.Value), value.Index, err, got.Index)
	}
	// A watcher that wants what the restore covers is told to read anew.
	err = s.client.Watch(t.Context(), client.WatchOptions{From: got.Index}, func(api.Event) error { return nil })
	var answer *client.Error
	if !errors.As(err, &answer) || answer.Code != api.CodeCompacted || answer.ResumeFrom != got.Index+1 {
		t.Errorf("a watcher was told %v", err)
	}
}

func TestAWatcherIsCutOffByARestore(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(3)
	saved := s.backup(client.BackupOptions{})
	seen := make(chan uint64, 10)
	ended := make(chan error, 1)
	go func() {
		ended <- s.client.Watch(t.Context(), client.WatchOptions{From: 1}, func(e api.Event) error {
			seen <- e.Index
			return nil
		})
	}()
	for range 3 {
		<-seen
	}
	got, err := s.restore(saved)
	if err != nil {
		t.Fatal(err)
	}
	err = <-ended
	var answer *client.Error
	if !errors.As(err, &answer) || answer.ResumeFrom != got.Index+1 {
		t.Errorf("%v, restored at %d", err, got.Index)
	}
}

func TestBackupSaysHowStaleItIs(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(1)
	ms := int64(90_000)
	s.node.status.Cluster.LeaderContactMS = &ms
	for want, contact := range map[int64]*int64{90_000: &ms, -1: nil} {
		s.node.status.Cluster.LeaderContactMS = contact
		r, err := backup.NewReader(bytes.NewReader(s.backup(client.BackupOptions{Stale: true})))
		if err != nil || !r.Header.Stale || r.Header.LeaderContactMS != want {
			t.Errorf("%+v, %v", r.Header, err)
		}
	}
	s.node.fail(fmt.Errorf("read: %w", raft.ErrNoLeader))
	if got := s.call("GET", "/v1/backup", ""); got.status != http.StatusServiceUnavailable {
		t.Errorf("without a leader: %+v", got)
	}
}

func TestRestoreRefusesWhatItCannotVerify(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(20)
	saved := s.backup(client.BackupOptions{})
	flipped := bytes.Clone(saved)
	flipped[len(flipped)/2] ^= 1
	before, after, _, err := backup.Encode(backup.Header{ClusterID: "here", Index: 1, Term: 1}, []byte("no state at all"))
	if err != nil {
		t.Fatal(err)
	}
	foreign := append(append(before, "no state at all"...), after...)
	empty, after, _, err := backup.Encode(backup.Header{ClusterID: "here", Index: 1, Term: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	snapshot := s.node.top.Backup()
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":          {nil, "no backup"},
		"something else":   {[]byte(strings.Repeat("x", 1<<20)), "no backup"},
		"a cut one":        {saved[:len(saved)-1], "damaged"},
		"half of one":      {saved[:len(saved)/2], "damaged"},
		"a flipped bit":    {flipped, "damaged"},
		"one with a tail":  {append(bytes.Clone(saved), 'x'), "damaged"},
		"a later format":   {bytes.Replace(saved, []byte("backup 1"), []byte("backup 9"), 1), "format"},
		"no state":         {foreign, "cannot be read by the version"},
		"one without data": {append(empty, after...), "damaged"},
	} {
		_, err := s.restore(c.data)
		var answer *client.Error
		if !errors.As(err, &answer) || answer.Status != http.StatusBadRequest || !strings.Contains(answer.Message, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(withoutIndex(s.node.top.Backup()), withoutIndex(snapshot)) {
			t.Fatalf("%s: the state changed", name)
		}
	}
	if _, command := s.node.top.Due(); command != nil {
		t.Error("something is still staged")
	}
	if _, err := s.client.Restore(t.Context(), iotest.ErrReader(errors.New("gone")), 100); err == nil {
		t.Error("a body that broke off was taken")
	}
	if got := s.call("POST", "/v1/restore", "x", "Idempotency-Key: k"); got.status != http.StatusBadRequest {
		t.Errorf("%+v", got)
	}
	if _, err := s.restore(saved); err != nil {
		t.Errorf("the good one after all that: %v", err)
	}
}

// withoutIndex is a snapshot without how far it is, which every entry changes.
func withoutIndex(snapshot []byte) []byte {
	store := kv.New(kv.Options{})
	if err := store.Restore(snapshot[4:]); err != nil { // behind an empty table
		panic(err)
	}
	var out []byte
	for _, it := range store.List(kv.ListQuery{}).Items {
		out = fmt.Appendf(out, "%s %d %x\n", it.Key, it.Index, it.Value)
	}
	return out
}

func TestRestoreSurvivesLostAnswersAndAFullCluster(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(20)
	saved := s.backup(client.BackupOptions{})
	s.node.mu.Lock()
	s.node.lost = 5 // the first begins, and some pieces
	s.node.mu.Unlock()
	if _, err := s.restore(saved); err != nil {
		t.Error(err)
	}
	s.node.fail(fmt.Errorf("propose: %w", raft.ErrLogFull))
	got := s.call("POST", "/v1/restore?timeout=300ms", string(saved))
	if got.status != http.StatusInsufficientStorage {
		t.Errorf("%+v", got)
	}
	s.node.fail(nil)
	if _, err := s.restore(saved); err != nil {
		t.Error(err)
	}
}

// While a new leader does not know the others' versions a restore waits; where one
// is too old it is refused, and says so.
func TestARestoreWaitsForVersionsAndIsRefusedForOldOnes(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(20)
	saved := s.backup(client.BackupOptions{})
	s.node.fail(fmt.Errorf("propose: %w", raft.ErrLevel))
	got := s.call("POST", "/v1/restore?timeout=300ms", string(saved))
	if got.status != http.StatusConflict || !strings.Contains(got.body, `"code":"old_member"`) || !strings.Contains(got.body, "update edgeraft there") {
		t.Errorf("%+v", got)
	}
	known := time.AfterFunc(3*pieceRetry, func() { s.node.fail(nil) })
	defer known.Stop()
	if _, err := s.restore(saved); err != nil {
		t.Error(err)
	}
}

func TestTwoRestoresDoNotMix(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.fill(2)
	saved := s.backup(client.BackupOptions{})
	if _, err := s.node.Propose(t.Context(), restore.Begin(restore.Plan{ID: restore.ID{1}, Size: 10, PieceBytes: 512})); err != nil {
		t.Fatal(err)
	}
	_, err := s.restore(saved)
	var answer *client.Error
	if !errors.As(err, &answer) || answer.Code != api.CodeConflict || answer.RetryAfterMS == 0 {
		t.Errorf("%v", err)
	}
	s.node.pass(restore.AbandonAfter + 1)
	if _, err := s.restore(saved); err != nil {
		t.Error(err)
	}
}
