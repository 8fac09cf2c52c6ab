// Package storage measures what edgeraft's log costs a card beside the logs of
// others, at the same work in the same run: hashicorp's raft-boltdb and
// raft-wal, and etcd's wal. And what three whole agents cost. What is counted
// is what a block device was handed, with the journal of its file system.
//
// It is a module of its own, apart from internal/compare, because etcd's wal
// needs an older go.etcd.io/raft than the one that is compared there.
//
// Each store is used as its own project does, with its defaults, so that what
// was saved survives a power cut:
//   - boltlog gets the entries with a hard state whose commit index advances,
//     as the core does it. So does etcd's wal.
//   - Raft-boltdb and raft-wal get the entries only: hashicorp's raft does not
//     store the commit index, and its term and vote elsewhere, when they change.
//   - Entries have what each has them have: a time in hashicorp's; a time and
//     the proposal's ID in edgeraft's; neither in etcd's.
//   - A log is cut to its last 1,000 entries when it has passed 2,000. For
//     boltlog and etcd's wal that is the record that a snapshot was taken,
//     without the state, which all would have to write alike.
package storage

import (
	"encoding/binary"
	"math/rand/v2"
)

// store is an open log.
type store interface {
	// save makes a batch of entries durable, of which the first has that index.
	save(first uint64, entries [][]byte) error
	// forget drops the entries up to that index.
	forget(upTo uint64) error
	close() error
}

// kind is a way to store a log.
type kind struct {
	name string
	// open makes a log in an empty directory.
	open func(dir string) (store, error)
	// read opens the one that is there, and returns its entries.
	read func(dir string) (first uint64, entries [][]byte, err error)
}

var kinds = []kind{
	{"boltlog", openBoltlog, readBoltlog},
	{"raft-boltdb", openRaftBoltdb, readRaftBoltdb},
	{"raft-wal", openRaftWAL, readRaftWAL},
	{"etcd wal", openEtcdWAL, readEtcdWAL},
}

const (
	keep   = 1000 // entries of a log that is cut
	atMost = 2000 // entries of a log that is not
)

// work is a way to write a log.
type work struct {
	size, batch int // bytes of an entry; entries of a save
	made        [][]byte
}

func newWork(size, batch int) *work {
	w := &work{size: size, batch: batch}
	random := rand.New(rand.NewPCG(1, 2))
	for range 4096 { // a multiple of every batch
		e := make([]byte, size)
		for i := 0; i < size; i += 8 {
			binary.LittleEndian.PutUint64(e[i:], random.Uint64())
		}
		w.made = append(w.made, e)
	}
	return w
}

// entry is what is stored at an index.
func (w *work) entry(index uint64) []byte { return w.made[(index-1)%uint64(len(w.made))] }

// writing is a log being written.
type writing struct {
	*work
	store       store
	first, last uint64
}

func (w *work) start(s store) *writing { return &writing{work: w, store: s, first: 1} }

// do makes that many saves, each when pace says so.
func (w *writing) do(saves int, pace func()) error {
	for range saves {
		pace()
		at := int(w.last) % len(w.made)
		if err := w.store.save(w.last+1, w.made[at:at+w.batch]); err != nil {
			return err
		}
		w.last += uint64(w.batch)
		if w.last-w.first+1 > atMost {
			w.first = w.last - keep + 1
			if err := w.store.forget(w.first - 1); err != nil {
				return err
			}
		}
	}
	return nil
}
