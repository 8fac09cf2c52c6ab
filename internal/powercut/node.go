package powercut

import (
	"context"
	"maps"
	"slices"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// node is a file or directory of a Disk, as the kernel sees it.
type node struct {
	fs.Inode
	disk *Disk
	ino  Ino
}

var (
	_ fs.NodeLookuper  = (*node)(nil)
	_ fs.NodeReaddirer = (*node)(nil)
	_ fs.NodeGetattrer = (*node)(nil)
	_ fs.NodeSetattrer = (*node)(nil)
	_ fs.NodeCreater   = (*node)(nil)
	_ fs.NodeMkdirer   = (*node)(nil)
	_ fs.NodeRenamer   = (*node)(nil)
	_ fs.NodeUnlinker  = (*node)(nil)
	_ fs.NodeRmdirer   = (*node)(nil)
	_ fs.NodeOpener    = (*node)(nil)
	_ fs.NodeReader    = (*node)(nil)
	_ fs.NodeWriter    = (*node)(nil)
	_ fs.NodeFsyncer   = (*node)(nil)
	_ fs.NodeStatfser  = (*node)(nil)
)

func (n *node) mode() uint32 {
	if n.disk.image.inodes[n.ino].names != nil {
		return syscall.S_IFDIR | 0o700
	}
	return syscall.S_IFREG | 0o600
}

func (n *node) attr(out *fuse.Attr) {
	out.Mode, out.Ino, out.Nlink, out.Blksize = n.mode(), uint64(n.ino), 1, BlockSize
	out.Size = uint64(n.disk.image.Size(n.ino))
	out.Blocks = (out.Size + SectorSize - 1) / SectorSize
	out.Uid, out.Gid = uint32(syscall.Getuid()), uint32(syscall.Getgid())
}

// child tells the kernel about an inode. The caller holds the lock.
func (n *node) child(ctx context.Context, i Ino, out *fuse.EntryOut) *fs.Inode {
	c := &node{disk: n.disk, ino: i}
	c.attr(&out.Attr)
	return n.NewInode(ctx, c, fs.StableAttr{Mode: c.mode(), Ino: uint64(i)})
}

func (n *node) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	i, ok := n.disk.image.inodes[n.ino].names[name]
	if !ok {
		return nil, syscall.ENOENT
	}
	return n.child(ctx, i, out), 0
}

func (n *node) Readdir(context.Context) (fs.DirStream, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	names := n.disk.image.inodes[n.ino].names
	var list []fuse.DirEntry
	for _, name := range slices.Sorted(maps.Keys(names)) {
		c := node{disk: n.disk, ino: names[name]}
		list = append(list, fuse.DirEntry{Name: name, Ino: uint64(c.ino), Mode: c.mode()})
	}
	return fs.NewListDirStream(list), 0
}

func (n *node) Getattr(_ context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	n.attr(&out.Attr)
	return 0
}

// Setattr changes the size. Modes and times are accepted and forgotten.
func (n *node) Setattr(_ context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if size, ok := in.GetSize(); ok {
		if size > MaxFileSize {
			return syscall.EFBIG
		}
		if errno := n.disk.do(Event{Kind: Truncate, Ino: n.ino, Off: int64(size)}); errno != 0 {
			return errno
		}
	}
	n.attr(&out.Attr)
	return 0
}

func (n *node) make(ctx context.Context, k Kind, name string, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if _, exists := n.disk.image.inodes[n.ino].names[name]; exists {
		return nil, syscall.EEXIST
	}
	i := n.disk.next
	if errno := n.disk.do(Event{Kind: k, Ino: i, Dir: n.ino, Name: name}); errno != 0 {
		return nil, errno
	}
	n.disk.next++
	return n.child(ctx, i, out), 0
}

func (n *node) Create(ctx context.Context, name string, _, _ uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	i, errno := n.make(ctx, Create, name, out)
	return i, nil, 0, errno
}

func (n *node) Mkdir(ctx context.Context, name string, _ uint32, out *fuse.EntryOut) (*fs.Inode, syscall.Errno) {
	return n.make(ctx, Mkdir, name, out)
}

// Rename works within one directory.
func (n *node) Rename(_ context.Context, name string, parent fs.InodeEmbedder, to string, flags uint32) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if p, ok := parent.(*node); !ok || p.ino != n.ino {
		return syscall.EXDEV
	}
	if flags != 0 {
		return syscall.EINVAL
	}
	i, ok := n.disk.image.inodes[n.ino].names[name]
	if !ok {
		return syscall.ENOENT
	}
	return n.disk.do(Event{Kind: Rename, Ino: i, Dir: n.ino, Name: name, To: to})
}

func (n *node) Unlink(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return n.disk.do(Event{Kind: Remove, Dir: n.ino, Name: name})
}

func (n *node) Rmdir(_ context.Context, name string) syscall.Errno {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	names := n.disk.image.inodes[n.ino].names
	if len(n.disk.image.inodes[names[name]].names) > 0 {
		return syscall.ENOTEMPTY
	}
	return n.disk.do(Event{Kind: Remove, Dir: n.ino, Name: name})
}

// Open lets the kernel keep the pages it has: nobody else changes them.
func (n *node) Open(context.Context, uint32) (fs.FileHandle, uint32, syscall.Errno) {
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (n *node) Read(_ context.Context, _ fs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return fuse.ReadResultData(dest[:n.disk.image.inodes[n.ino].read(dest, off)]), 0
}

func (n *node) Write(_ context.Context, _ fs.FileHandle, data []byte, off int64) (uint32, syscall.Errno) {
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	if off+int64(len(data)) > MaxFileSize {
		return 0, syscall.EFBIG
	}
	if errno := n.disk.do(Event{Kind: Write, Ino: n.ino, Off: off, Data: slices.Clone(data)}); errno != 0 {
		return 0, errno
	}
	return uint32(len(data)), 0
}

// Statfs says that there is room, also where writes will find none.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	out.Bsize, out.Blocks = BlockSize, 1<<20
	out.Bfree, out.Bavail = out.Blocks, out.Blocks
	return 0
}

// Fsync is fsync, fdatasync, and fsync of a directory.
func (n *node) Fsync(context.Context, fs.FileHandle, uint32) syscall.Errno {
	n.disk.delay()
	n.disk.mu.Lock()
	defer n.disk.mu.Unlock()
	return n.disk.do(Event{Kind: Sync, Ino: n.ino})
}
