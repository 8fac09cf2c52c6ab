package boltlog

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// copyDir copies what is in from, as the disk would show it after a kill.
func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	for _, name := range []string{databaseName, identityName} {
		b, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// refuses opens dir and holds that the error is want and says what to do.
func refuses(t *testing.T, dir string, opt Options, want error) {
	t.Helper()
	l, _, err := Open(dir, opt)
	if err == nil {
		_ = l.Close()
	}
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
	if !strings.Contains(err.Error(), dir) {
		t.Errorf("the error does not name the directory: %v", err)
	}
}

func TestKilledProcess(t *testing.T) {
	dir := t.TempDir()
	l, first := open(t, dir)
	for i := raft.Index(1); i <= 30; i++ {
		save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: i - 1}, Entries: commands(1, i, i)})
		if i%10 != 0 {
			continue
		}
		_, got := open(t, copyDir(t, dir)) // l is never closed
		if got.Identity.ID != first.Identity.ID || got.Identity.Boot != 2 {
			t.Errorf("identity %+v", got.Identity)
		}
		want := raft.Stored{State: raft.HardState{Term: 1, Commit: i - 1}, Entries: commands(1, 1, i)}
		if !reflect.DeepEqual(got.Stored, want) {
			t.Errorf("after %d saves: %s", i, difference(got.Stored, want))
		}
	}
}

func TestSecondAgentIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	refuses(t, dir, home, ErrInUse)
	mustClose(t, l)
	l, _ = open(t, dir)
	mustClose(t, l)

	// A tool that holds only bbolt's own lock.
	db, err := bolt.Open(filepath.Join(dir, databaseName), 0o600, &bolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, dir, home, ErrInUse)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestOtherClusterIsRefused(t *testing.T) {
	for name, s := range map[string]raft.Save{
		"a member":  {State: raft.HardState{Term: 1}, Entries: commands(1, 1, 2)},
		"a voter":   {State: raft.HardState{Term: 1}},
		"a founder": {Founding: &raft.Founding{Promised: raft.Ballot{Round: 1, Proposer: raft.NodeIDFrom([10]byte{1})}}},
	} {
		dir := t.TempDir()
		l, _ := open(t, dir)
		save(t, l, s)
		mustClose(t, l)
		refuses(t, dir, Options{ClusterName: "garage"}, ErrOtherCluster)
		if _, got := open(t, dir); got.Identity.Boot != 2 {
			t.Errorf("%s: a refused open counted as a boot: %+v", name, got.Identity)
		}
	}
}

// TestABlankDeviceIsRenamed: a device that was given a wrong name of its cluster,
// and therefore found none, must not have to be deleted.
func TestABlankDeviceIsRenamed(t *testing.T) {
	dir := t.TempDir()
	if err := Replace(dir, home); err != nil { // so that it has someone to remember
		t.Fatal(err)
	}
	if err := Replace(dir, home); err != nil {
		t.Fatal(err)
	}
	l, first := open(t, dir)
	mustClose(t, l)
	garage := Options{ClusterName: "garage", RingSize: home.RingSize, Preallocate: home.Preallocate}
	for boot := uint64(2); boot <= 3; boot++ {
		l, got, err := Open(dir, garage)
		if err != nil {
			t.Fatal(err)
		}
		if id := got.Identity; id.ID != first.Identity.ID || id.Cluster != "garage" || id.Boot != boot || !slices.Equal(id.Replaces, first.Identity.Replaces) || len(id.Replaces) == 0 {
			t.Errorf("%+v, was %+v", id, first.Identity)
		}
		mustClose(t, l)
	}
	if known, err := readIdentity(dir); err != nil || !known.valid || known.Cluster != "garage" || len(known.Replaces) == 0 {
		t.Errorf("the identity file: %+v, %v", known, err)
	}
	l, got, err := Open(dir, garage)
	if err != nil {
		t.Fatal(err)
	}
	got.Stored.State.Term = 1
	save(t, l, raft.Save{State: got.Stored.State})
	mustClose(t, l)
	refuses(t, dir, home, ErrOtherCluster)
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"", "\xff", strings.Repeat("x", maxClusterName+1)} {
		refuses(t, dir, Options{ClusterName: name}, ErrOptions)
	}
}

// TestForgottenVote: a device that once was must never come back blank under
// its old identity, nor silently under a new one.
func TestForgottenVote(t *testing.T) {
	database := func(dir string) string { return filepath.Join(dir, databaseName) }
	identity := func(dir string) string { return filepath.Join(dir, identityName) }
	for _, c := range []struct {
		name string
		harm func(dir string) error
		want error // nil: it opens as the same device
	}{
		{"database missing", func(d string) error { return os.Remove(database(d)) }, ErrLostDatabase},
		{"database empty", func(d string) error { return os.Truncate(database(d), 0) }, ErrLostDatabase},
		{"database missing, identity damaged", func(d string) error {
			return errors.Join(os.Remove(database(d)), os.WriteFile(identity(d), nil, 0o600))
		}, ErrLostDatabase},
		{"database empty, no identity", func(d string) error {
			return errors.Join(os.Truncate(database(d), 0), os.Remove(identity(d)))
		}, ErrDamaged},
		{"identity of another device", func(d string) error {
			return os.WriteFile(identity(d), []byte(`{"version":1,"id":"aaaaaaaaaaaaaaaa"}`), 0o600)
		}, ErrOtherDevice},
		{"identity missing", func(d string) error { return os.Remove(identity(d)) }, nil},
		{"identity damaged", func(d string) error { return os.WriteFile(identity(d), []byte("{"), 0o600) }, nil},
		{"half a database under construction", func(d string) error {
			return os.WriteFile(database(d)+newSuffix, []byte("half"), 0o600)
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l, before := open(t, dir)
			mustClose(t, l)
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
			if c.want != nil {
				refuses(t, dir, home, c.want)
				return
			}
			if _, after := open(t, dir); after.Identity.ID != before.Identity.ID || after.Identity.Boot != 2 {
				t.Errorf("identity %+v, then %+v", before.Identity, after.Identity)
			}
			if known, err := readIdentity(dir); err != nil || known.ID != before.Identity.ID {
				t.Errorf("the identity file was not written again: %+v, %v", known, err)
			}
		})
	}
}

// TestCrashWhileMakingTheDatabase: a file under construction is thrown away.
func TestCrashWhileMakingTheDatabase(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, databaseName+newSuffix), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if _, err := os.Stat(filepath.Join(dir, databaseName+newSuffix)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestContentIsChecked changes the content behind Open's back, in ways that
// leave every page of the file whole.
func TestContentIsChecked(t *testing.T) {
	put := func(bucket, key, value []byte) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }
	}
	remove := func(bucket, key []byte) func(*bolt.Tx) error {
		return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Delete(key) }
	}
	entry := func(e raft.Entry) []byte {
		b, err := wire.AppendEntry(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	stored := func(version byte, v any) []byte {
		b, err := wire.AppendStored(nil, version, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		change func(*bolt.Tx) error
		want   error
	}{
		{"newer format", put(bucketState, keyFormat, []byte{3, 0xff - 3}), ErrVersion},
		{"no format", remove(bucketState, keyFormat), ErrDamaged},
		{"no hard state", remove(bucketState, keyHard), ErrDamaged},
		{"newer hard state", put(bucketState, keyHard, stored(2, 1)), ErrVersion},
		{"no device", remove(bucketState, keyDevice), ErrDamaged},
		{"newer device", put(bucketState, keyDevice, stored(2, 1)), ErrVersion},
		{"an ID that is none", put(bucketState, keyDevice, stored(1, &device{ID: "x", Cluster: "home"})), ErrDamaged},
		{"the last boot", func(tx *bolt.Tx) error {
			d := device{ID: "aaaaaaaaaaaaaaaa", Cluster: "home", Boot: 1<<64 - 1}
			return d.put(tx)
		}, ErrDamaged},
		{"no ring", func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketRing) }, ErrDamaged},
		{"no state of the ring", remove(bucketState, keyRingState), ErrDamaged},
		{"newer state of the ring", put(bucketState, keyRingState, stored(2, 1)), ErrVersion},
		{"no chunks", func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketChunks) }, ErrDamaged},
		{"a key in the bucket of chunks", put(bucketChunks, []byte("abc"), entry(commands(2, 11, 11)[0])), ErrDamaged},
		{"an index in the bucket of chunks", put(bucketChunks, chunkKey(11), nil), ErrDamaged},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l, _ := open(t, dir)
			save(t, l, raft.Save{State: raft.HardState{Term: 2, Commit: 10}, Entries: commands(2, 1, 10)})
			if c.name == "the last boot" {
				if err := os.Remove(filepath.Join(dir, identityName)); err != nil {
					t.Fatal(err)
				}
			}
			if err := l.db.Update(c.change); err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			refuses(t, dir, home, c.want)
		})
	}
}

// TestFlippedBitsInTheIdentityFile: the database knows better, and the file is
// written anew. Its other names are no business of the checksum.
func TestFlippedBitsInTheIdentityFile(t *testing.T) {
	dir := t.TempDir()
	l, first := open(t, dir)
	mustClose(t, l)
	path := filepath.Join(dir, identityName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		for bit := range 8 {
			spoilt := append([]byte(nil), whole...)
			spoilt[i] ^= 1 << bit
			if err := os.WriteFile(path, spoilt, 0o600); err != nil {
				t.Fatal(err)
			}
			id, err := readIdentity(dir)
			if err != nil || id.valid && id.ID != first.Identity.ID {
				t.Fatalf("bit %d of byte %d: %+v, %v", bit, i, id, err)
			}
			if i%16 != 0 || bit != 0 {
				continue // opening takes a while
			}
			l, opened, err := Open(dir, home)
			if err != nil || opened.Identity.ID != first.Identity.ID {
				t.Fatalf("bit %d of byte %d: %+v, %v", bit, i, opened.Identity, err)
			}
			mustClose(t, l)
		}
	}
	old := `{"version":1,"id":"` + string(first.Identity.ID) + `","cluster":"home"}`
	if err := os.WriteFile(path, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := readIdentity(dir); err != nil || !id.valid {
		t.Errorf("one of version 1: %+v, %v", id, err)
	}
}
