package powercut

import (
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// ReadFile returns the content of a file.
func (im *Image) ReadFile(path ...string) ([]byte, error) {
	i, ok := im.Lookup(path...)
	if !ok || im.inodes[i].names != nil {
		return nil, fmt.Errorf("read %s of the image: %w", filepath.Join(path...), syscall.ENOENT)
	}
	b := make([]byte, im.Size(i))
	im.inodes[i].read(b, 0)
	return b, nil
}

// Flip inverts a bit of a byte of a file.
func (im *Image) Flip(i Ino, off int64, bit uint) {
	var b [1]byte
	n := im.own(i)
	if n.read(b[:], off) == 1 {
		b[0] ^= 1 << (bit % 8)
		n.patch(b[:], off)
	}
}

// Sum is the same for equal images, and with overwhelming probability another
// for others. It differs from process to process.
func (im *Image) Sum() uint64 {
	var h maphash.Hash
	h.SetSeed(sumSeed)
	im.sum(&h, Root)
	return h.Sum64()
}

var sumSeed = maphash.MakeSeed()

func (im *Image) sum(h *maphash.Hash, i Ino) {
	n := im.inodes[i]
	for _, name := range slices.Sorted(maps.Keys(n.names)) {
		fmt.Fprintf(h, "%q", name)
		im.sum(h, n.names[name])
	}
	fmt.Fprintf(h, "%t %d", n.names == nil, n.size)
	for k, b := range n.blocks {
		off := int64(k) * BlockSize
		if b != nil && off < n.size && !allZero(b[:]) {
			fmt.Fprintf(h, "at %d", off)
			h.Write(b[:min(BlockSize, n.size-off)])
		}
	}
}

// Materialise makes dir, which must not exist, what the image's root is.
// Blocks of zeros become holes, so that a large, mostly empty file is cheap on
// a tmpfs.
func (im *Image) Materialise(dir string) error { return im.materialise(Root, dir) }

func (im *Image) materialise(i Ino, path string) error {
	n := im.inodes[i]
	if n.names == nil {
		return n.materialise(path)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	for name, child := range n.names {
		if err := im.materialise(child, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func (n *inode) materialise(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if err := f.Truncate(n.size); err != nil {
		return err
	}
	for i, b := range n.blocks {
		off := int64(i) * BlockSize
		if b == nil || off >= n.size {
			continue
		}
		if _, err := f.WriteAt(b[:min(BlockSize, n.size-off)], off); err != nil {
			return err
		}
	}
	return nil
}
