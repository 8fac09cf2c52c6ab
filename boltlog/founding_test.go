package boltlog

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

func promised(round uint64) *raft.Founding {
	return &raft.Founding{Promised: raft.Ballot{Round: round, Proposer: raft.NodeIDFrom([10]byte{1})}}
}

// A promise is there after a restart, and gone when the device belongs to a
// cluster.
func TestAPromiseOutlivesTheProcess(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	for _, want := range []*raft.Founding{promised(1), promised(2), randomFounding(rand.New(rand.NewPCG(3, 0))), {}} {
		save(t, l, raft.Save{Founding: want})
		mustClose(t, l)
		var opened Opened
		l, opened = open(t, dir)
		if !reflect.DeepEqual(opened.Stored.Founding, *want) {
			t.Errorf("stored %+v, want %+v", opened.Stored.Founding, *want)
		}
	}
	if err := l.db.View(func(tx *bolt.Tx) error {
		if tx.Bucket(bucketFounding) != nil {
			t.Error("nothing is promised any more, and the bucket is still there")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedPromiseIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{Founding: promised(1)})
	if err := l.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketFounding).Put(keyPromised, []byte("promise")) }); err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if _, _, err := Open(dir, home); !errors.Is(err, ErrDamaged) {
		t.Errorf("it opens with: %v, want ErrDamaged", err)
	}
}

// With the meta page of a promise's transaction damaged bbolt shows the one
// before, without the promise: that is damage, and not a device that promised
// nothing.
func TestAPromiseIsNotForgottenWithItsMetaPage(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{Founding: promised(1)})
	m, err := newestMeta(l.file)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	f, err := os.OpenFile(filepath.Join(dir, databaseName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{0xff}, int64(m.txid%2)*pageSize+headerLen+20); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(dir, home); !errors.Is(err, ErrDamaged) {
		t.Errorf("it opens with: %v, want ErrDamaged", err)
	}
}
