package powercut

import (
	"maps"
	"slices"
)

const (
	// BlockSize is the unit in which files are kept here and in which a card
	// is taken to program.
	BlockSize = 4096
	// SectorSize is the unit below which no disk tears a write.
	SectorSize = 512
)

// Ino names a file or directory for as long as a recording lasts.
type Ino uint64

// Root is the directory that is mounted.
const Root Ino = 1

// block is the content of a BlockSize of a file. A block in an Image is never
// changed, only replaced, so that images share them; nil stands for zeros.
type block *[BlockSize]byte

// inode is a directory, with names, or a file.
type inode struct {
	names  map[string]Ino // not nil for a directory
	size   int64
	blocks []block // beyond its end: zeros
}

// Image is a file system at rest. Clones share their content until they are
// changed; the zero Image is not usable.
type Image struct {
	inodes map[Ino]*inode
	owned  map[Ino]bool // inodes that no clone shares
}

// NewImage returns an empty file system.
func NewImage() *Image {
	return &Image{
		inodes: map[Ino]*inode{Root: {names: map[string]Ino{}}},
		owned:  map[Ino]bool{Root: true},
	}
}

// Clone returns a copy. Neither is changed by changes of the other.
func (im *Image) Clone() *Image {
	im.freeze()
	return &Image{inodes: maps.Clone(im.inodes), owned: map[Ino]bool{}}
}

// freeze makes Clone safe for several goroutines at a time.
func (im *Image) freeze() {
	if len(im.owned) > 0 {
		clear(im.owned)
	}
}

// own returns the inode, ready to be changed.
func (im *Image) own(i Ino) *inode {
	n := im.inodes[i]
	if n == nil {
		n = &inode{}
	} else if !im.owned[i] {
		n = &inode{names: maps.Clone(n.names), size: n.size, blocks: slices.Clone(n.blocks)}
	}
	im.inodes[i], im.owned[i] = n, true
	return n
}

// Lookup finds path below the root: the names on the way there.
func (im *Image) Lookup(path ...string) (Ino, bool) {
	at := Root
	for _, name := range path {
		n := im.inodes[at]
		if n == nil || n.names == nil {
			return 0, false
		}
		next, ok := n.names[name]
		if !ok {
			return 0, false
		}
		at = next
	}
	return at, true
}

// Size returns the size of a file.
func (im *Image) Size(i Ino) int64 {
	if n := im.inodes[i]; n != nil {
		return n.size
	}
	return 0
}

// block returns a block of n, nil for zeros.
func (n *inode) block(i int64) block {
	if n == nil || i >= int64(len(n.blocks)) {
		return nil
	}
	return n.blocks[i]
}

// setBlock makes room as needed. It does not change the size.
func (n *inode) setBlock(i int64, b block) {
	if i >= int64(len(n.blocks)) {
		if b == nil {
			return
		}
		n.blocks = append(n.blocks, make([]block, i+1-int64(len(n.blocks)))...)
	}
	n.blocks[i] = b
}

// patch replaces part of a block, from byte off of the file on; data does not
// cross the block's end.
func (n *inode) patch(data []byte, off int64) {
	i := off / BlockSize
	old := n.block(i)
	if old == nil && allZero(data) {
		return
	}
	b := new([BlockSize]byte)
	if old != nil && len(data) < BlockSize {
		*b = *old
	}
	copy(b[off%BlockSize:], data)
	n.setBlock(i, b)
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// write is pwrite.
func (n *inode) write(data []byte, off int64) {
	n.size = max(n.size, off+int64(len(data)))
	for len(data) > 0 {
		k := min(int64(len(data)), BlockSize-off%BlockSize)
		n.patch(data[:k], off)
		data, off = data[k:], off+k
	}
}

// resize is ftruncate. What is cut off reads as zeros if the file grows again.
func (n *inode) resize(size int64) {
	if size < n.size {
		whole := (size + BlockSize - 1) / BlockSize
		if whole < int64(len(n.blocks)) {
			n.blocks = n.blocks[:whole:whole]
		}
		if part := size % BlockSize; part != 0 && n.block(whole-1) != nil {
			n.patch(make([]byte, BlockSize-part), size)
		}
	}
	n.size = size
}

// read is pread.
func (n *inode) read(dest []byte, off int64) int {
	if off >= n.size {
		return 0
	}
	dest = dest[:min(int64(len(dest)), n.size-off)]
	for at := 0; at < len(dest); {
		in := (off + int64(at)) % BlockSize
		part := dest[at:min(len(dest), at+int(BlockSize-in))]
		if b := n.block((off + int64(at)) / BlockSize); b != nil {
			copy(part, b[in:])
		} else {
			clear(part)
		}
		at += len(part)
	}
	return len(dest)
}
