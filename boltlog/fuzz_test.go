package boltlog

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// known holds that an error is one of those that opening may return.
func known(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrVersion) {
		t.Errorf("error %v", err)
	}
}

// FuzzSector: whatever a slot holds, with its checksum made right, is refused or
// decodes into what encodes to the same bytes.
func FuzzSector(f *testing.F) {
	m := newImage(f, 4)
	m.put(raft.HardState{Cluster: raft.ClusterID{1}, Term: 2, Vote: "aaaaaaaaaaaaaaaa", Commit: 3}, appendCut(nil, 1), []byte("payload"))
	f.Add(bytes.Clone(m.slot(1)[:sectorHead+16]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		b := make([]byte, sectorSize)
		copy(b, in)
		if used := int(order.Uint16(b[6:])); used <= sectorRoom {
			order.PutUint32(b, crc32.Update(1, castagnoli, b[4:sectorHead+used]))
		}
		s, ok := decodeSector(b, 1)
		if !ok {
			return
		}
		again := make([]byte, sectorSize)
		used := copy(again[sectorHead:], s.payload)
		s.encode(again, used, 1)
		again[5] = b[5] // says nothing yet
		order.PutUint32(again, crc32.Update(1, castagnoli, again[4:sectorHead+used]))
		if !bytes.Equal(again[:sectorHead+used], b[:sectorHead+used]) {
			t.Errorf("%x is encoded as %x", b[:sectorHead+used], again[:sectorHead+used])
		}
	})
}

// FuzzReplay: a ring of any content, with right checksums.
func FuzzReplay(f *testing.F) {
	const slots = 6
	m := newImage(f, slots)
	m.save(1, commands(1, 1, 3)...)
	m.save(2, commands(2, 2, 2)...)
	m.save(2, entriesOf(2, 3, 5, 2000)...)
	var seed []byte
	for i := range slots {
		seed = append(seed, m.slot(i)[:400]...)
	}
	f.Add(seed, uint8(0xff))
	f.Fuzz(func(t *testing.T, in []byte, right uint8) {
		all := make([]byte, slots*sectorSize)
		part := len(in) / slots
		for i := range slots {
			b := all[i*sectorSize : (i+1)*sectorSize]
			copy(b, in[i*part:(i+1)*part])
			if used := int(order.Uint16(b[6:])); used <= sectorRoom && right>>i&1 == 1 {
				order.PutUint32(b, crc32.Update(m.ring.seed, castagnoli, b[4:sectorHead+used]))
			}
		}
		c := content{ring: ringState{Epoch: imageEpoch, First: 1}}
		var tl tail
		err := m.ring.replay(all, &c, &tl)
		known(t, err)
		if err == nil && int(tl.first)+len(tl.ends) != len(c.stored.Entries)+1 {
			t.Errorf("the tail has %d entries from %d on, the log %d", len(tl.ends), tl.first, len(c.stored.Entries))
		}
	})
}

// FuzzChunk: a chunk of any content, its head's checksum right.
func FuzzChunk(f *testing.F) {
	var tl tail
	tl.restart(1)
	for _, e := range commands(2, 1, 3) {
		if err := tl.add(e); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(encodeChunk(nil, 1, 1, 3, tl.data, 1)[:200], uint64(1))
	f.Fuzz(func(t *testing.T, b []byte, first uint64) {
		if len(b) >= chunkHead {
			b = bytes.Clone(b)
			order.PutUint32(b, crc32.Update(1, castagnoli, b[4:chunkHead]))
		}
		entries, err := decodeChunk(b, raft.Index(first), 1)
		known(t, err)
		if err == nil && (len(entries) == 0 || entries[0].Index != raft.Index(first)) {
			t.Errorf("%d entries", len(entries))
		}
	})
}

// FuzzOpen changes a whole database anywhere but in its meta pages' checksums.
func FuzzOpen(f *testing.F) {
	dir, _ := filled(f)
	whole, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(pageSize*4+16), []byte{1, 2, 3, 4})
	f.Add(uint32(pageSize*6+24), []byte{0xff})
	f.Fuzz(func(t *testing.T, at uint32, b []byte) {
		to := t.TempDir()
		harm := bytes.Clone(whole)
		copy(harm[int(at)%len(harm):], b)
		if err := os.WriteFile(filepath.Join(to, databaseName), harm, 0o600); err != nil {
			t.Fatal(err)
		}
		l, _, err := Open(to, home)
		known(t, err)
		if err == nil {
			mustClose(t, l)
		}
	})
}

// FuzzVerify: the pages of any file, behind whole meta pages.
func FuzzVerify(f *testing.F) {
	dir, _ := filled(f)
	whole, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[2*pageSize : 4*pageSize])
	f.Fuzz(func(t *testing.T, pages []byte) {
		file, err := os.Create(filepath.Join(t.TempDir(), "pages"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		content := append(bytes.Clone(whole[:2*pageSize]), pages...)
		if len(content) < len(whole) {
			content = append(content, whole[len(content):]...)
		}
		if _, err := io.Copy(file, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		known(t, verify(file))
	})
}
