package doctor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/internal/card"
)

// disk is what is known of the file system that the data lies on.
type disk struct {
	dir   string // the data directory
	at    string // that, or what exists above it
	mount mount
	// journal is what ext4 itself says of its options; more than the mount says.
	journal []string
	// upper is the file system of an overlay's upper layer, "" where not known.
	upper        string
	readOnly     bool
	free         uint64 // bytes
	inodes       uint64 // 0: the file system does not count them
	freeInodes   uint64
	database     uint64 // bytes it has already; 0 where there is none
	card         card.Card
	err, cardErr error
}

// databaseName is the file of the log, of which the size counts.
const databaseName = "log.db"

func (h host) storage(s Subject) []Finding {
	d := h.lookAtDisk(s.DataDir)
	out := []Finding{judgeFileSystem(d)}
	if d.err != nil {
		return out
	}
	out = append(out, judgeJournal(d)...)
	out = append(out, judgeSpace(d, s)...)
	return append(out, judgeCard(d)...)
}

func (h host) lookAtDisk(dir string) disk {
	d := disk{dir: dir, at: nearest(dir)}
	var st unix.Statfs_t
	if d.err = unix.Statfs(d.at, &st); d.err != nil {
		return d
	}
	d.readOnly = st.Flags&unix.ST_RDONLY != 0
	d.free = st.Bavail * uint64(st.Bsize)
	d.inodes, d.freeInodes = st.Files, st.Ffree
	if info, err := os.Stat(filepath.Join(dir, databaseName)); err == nil {
		d.database = uint64(info.Size())
	}
	d.card, d.cardErr = card.Read(h.path("sys"), d.at)
	text, err := h.read("proc/self/mountinfo")
	if err != nil {
		return d
	}
	d.mount, _ = mountOf(text, d.at)
	switch d.mount.kind {
	case "ext4":
		if name, err := os.Readlink(h.path("sys/dev/block/" + d.mount.device)); err == nil {
			text, _ := h.read("proc/fs/ext4/" + filepath.Base(name) + "/options") // absent: the mount's own are all there is
			d.journal = strings.Fields(text)
		}
	case "overlay":
		if upper, ok := d.mount.option("upperdir"); ok {
			if m, ok := mountOf(text, nearest(upper)); ok && h.exists(upper) {
				d.upper = m.kind
			}
		}
	}
	return d
}

// system is what is to be said of a kind of file system.
type system struct {
	level        Level
	text, remedy string
}

const (
	ownDisk  = "what is acknowledged must be on this device's own disk: put data_dir there"
	inMemory = "it is in memory, and gone with the power, and this device's votes with it: put data_dir on a disk"
)

var systems = map[string]system{
	"ext4":     {OK, "ext4", ""},
	"xfs":      {OK, "XFS", ""},
	"ext3":     {OK, "ext3", ""},
	"ext2":     {Warning, "ext2, which has no journal", "after a power cut it needs a check, and may lose files: tune2fs -j makes it ext3"},
	"f2fs":     {Note, "F2FS, on which edgeraft was not tested", "ext4 is the safe choice"},
	"ubifs":    {Note, "UBIFS, on which edgeraft was not tested", ""},
	"btrfs":    {Warning, "btrfs, which writes about ten times as much for each small save as ext4 does", "put data_dir on ext4, to spare the card"},
	"jffs2":    {Error, "JFFS2, which cannot map a file that is written", "put data_dir on another file system (UBIFS, ext4)"},
	"vfat":     {Error, "FAT, which has no journal and no owners", "put data_dir on ext4"},
	"msdos":    {Error, "FAT, which has no journal and no owners", "put data_dir on ext4"},
	"exfat":    {Error, "exFAT, which has no journal and no owners", "put data_dir on ext4"},
	"ntfs3":    {Error, "NTFS, on which edgeraft was not tested", "put data_dir on ext4"},
	"tmpfs":    {Error, "tmpfs", inMemory},
	"ramfs":    {Error, "ramfs", inMemory},
	"nfs":      {Error, "NFS", ownDisk},
	"nfs4":     {Error, "NFS", ownDisk},
	"cifs":     {Error, "a Windows share", ownDisk},
	"smb3":     {Error, "a Windows share", ownDisk},
	"9p":       {Error, "9P, a share of another machine", ownDisk},
	"fuseblk":  {Warning, "a file system in user space (NTFS or exFAT?)", "put data_dir on ext4"},
	"squashfs": {Error, "squashfs, which cannot be written", "put data_dir on a partition that can be written"},
}

func judgeFileSystem(d disk) Finding {
	const check = "file system"
	switch {
	case d.err != nil:
		return found(groupStorage, check, Error, "%s cannot be looked at: %v", d.at, d.err).do("correct data_dir")
	case d.readOnly:
		return found(groupStorage, check, Error, "%s lies on a file system that is mounted read-only", d.at).
			do("a damaged card often becomes read-only: look for errors, then replace it").typing("dmesg | grep -iE 'ext4|mmc|I/O error' | tail")
	case d.mount.kind == "":
		return found(groupStorage, check, Note, "it is not known what %s lies on: /proc/self/mountinfo cannot be read", d.at)
	case d.mount.kind == "overlay":
		return judgeOverlay(d)
	case strings.HasPrefix(d.mount.kind, "fuse.sshfs"):
		return found(groupStorage, check, Error, "%s lies on sshfs", d.at).do(ownDisk)
	}
	s, ok := systems[d.mount.kind]
	if !ok {
		return found(groupStorage, check, OK, "%s lies on %s, of which nothing bad is known", d.at, d.mount.kind)
	}
	return found(groupStorage, check, s.level, "%s lies on %s", d.at, s.text).do("%s", s.remedy)
}

func judgeOverlay(d disk) Finding {
	const check, writable = "file system", "put data_dir on a partition that can be written, or end the overlay (raspi-config: Performance, Overlay File System)"
	switch d.upper {
	case "tmpfs", "ramfs":
		return found(groupStorage, check, Error, "%s lies on an overlay whose upper layer is in memory: all is gone with the power, this device's votes too", d.at).do(writable)
	case "":
		return found(groupStorage, check, Warning, "%s lies on an overlay; whether its upper layer is in memory, and gone with the power, could not be seen", d.at).do(writable)
	}
	return found(groupStorage, check, OK, "%s lies on an overlay whose upper layer is on %s", d.at, d.upper)
}

// judgeJournal looks at what makes ext4 unsafe.
func judgeJournal(d disk) []Finding {
	if d.mount.kind != "ext4" {
		return nil
	}
	const check = "ext4"
	m := d.mount
	m.options = append(slices.Clone(m.options), d.journal...)
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(m.options, n) })
	}
	var out []Finding
	if has("nobarrier", "barrier=0") {
		out = append(out, found(groupStorage, check, Error, "%s is mounted with nobarrier, so what is synced may still be lost with the power", m.point).
			do("take nobarrier out of /etc/fstab").typing("sudo mount -o remount,barrier %s", m.point))
	}
	if has("data=writeback") {
		out = append(out, found(groupStorage, check, Warning, "%s is mounted with data=writeback: after a power cut files may hold what was there before", m.point).
			do("take data=writeback out of /etc/fstab (and out of rootflags= in cmdline.txt), and start the device anew"))
	}
	// The kernel shows the feature under the name of an option for tests.
	if has("fast_commit", "fc_debug_force") {
		out = append(out, found(groupStorage, check, Warning, "%s has the feature fast_commit, with which power cuts have damaged databases like this one (bbolt issue 562)", m.point).
			do("switch it off while the file system is not mounted (for the root file system: from another device)").
			typing("sudo tune2fs -O ^fast_commit %s", m.source))
	}
	if len(out) == 0 {
		out = append(out, found(groupStorage, check, OK, "no option of %s is dangerous", m.point))
	}
	return out
}

// fewInodes is how many files must be possible: a save of addresses makes one, a
// database in the place of another two, and others want some, too.
const fewInodes = 64

func judgeSpace(d disk, s Subject) []Finding {
	const check = "space"
	// What the log may grow to before it is shortened, beside a state twice.
	may := s.Preallocated + uint64(s.LogBytes)
	if s.Status != nil {
		may += 2 * s.Status.State.Bytes
	}
	may = min(may, s.MaxFile)
	// And once more what a new database takes, which is made beside the old one.
	want := s.Preallocated + may - min(may, d.database)
	var out []Finding
	room := func(l Level) Finding {
		return found(groupStorage, check, l, "%s has %d MiB left; with these limits the database may want %d MiB more", d.at, d.free>>20, want>>20)
	}
	switch {
	case d.free < s.Preallocated:
		out = append(out, room(Error).do("make room: journalctl --vacuum-size=50M, apt clean").typing("df -h %s", d.at))
	case d.free < want:
		out = append(out, room(Warning).do("make room before it is needed").typing("df -h %s", d.at))
	default:
		out = append(out, room(OK))
	}
	if d.inodes > 0 && d.freeInodes < fewInodes {
		level := Warning
		if d.freeInodes == 0 {
			level = Error
		}
		out = append(out, found(groupStorage, "inodes", level, "%s has room for %d more files only, whatever their size", d.at, d.freeInodes).
			do("delete many small files").typing("df -i %s", d.at))
	}
	return out
}

// worn is how many percent of its life an eMMC may have used.
const worn = 90

// judgeCard tells what an eMMC says of itself. SD cards say nothing.
func judgeCard(d disk) []Finding {
	c := d.card
	switch {
	case d.cardErr != nil || c.LifeUsed == 0 && c.Spare == "":
		return nil
	case c.LifeUsed >= worn || c.Spare == card.SpareUrgent:
		return []Finding{found(groupStorage, "wear", Error, "%s says that it is worn out: %d %% of its life used, spare blocks: %s", c.Device, c.LifeUsed, c.Spare).
			do("replace the card").typing("edgeraft backup /somewhere/else")}
	case c.Spare == card.SpareWarning:
		return []Finding{found(groupStorage, "wear", Warning, "%s has used up most of its spare blocks, and %d %% of its life", c.Device, c.LifeUsed).do("have another card ready")}
	}
	return []Finding{found(groupStorage, "wear", OK, "%s says that up to %d %% of its life is used", c.Device, c.LifeUsed)}
}
