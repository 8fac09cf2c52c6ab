// Package doctor looks at the things of a device that go wrong: the room and the
// speed of its card, the file system, files that the wrong people may read, the
// clock. Each check says what it saw and, where that is not well, what to do.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Level is how bad a finding is.
type Level string

// The levels. Only Wrong makes a device ill.
const (
	OK     Level = "ok"
	Advice Level = "advice"
	Wrong  Level = "wrong"
)

// Finding is what one check saw.
type Finding struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

func found(check string, level Level, remedy, format string, args ...any) Finding {
	return Finding{Check: check, Level: level, Remedy: remedy, Text: fmt.Sprintf(format, args...)}
}

// The room that a database wants: what it is given when it is made, twice, as
// while a snapshot replaces the one before.
const (
	leastFree = 40 << 20
	goodFree  = 100 << 20
)

// Space judges the room of the file system.
func Space(dir string, free uint64) Finding {
	const check = "space"
	switch {
	case free < leastFree:
		return found(check, Wrong, "make room: df -h "+dir+", journalctl --vacuum-size=50M, apt clean", "%s has %d MiB left; a database of this cluster may want %d", dir, free>>20, leastFree>>20)
	case free < goodFree:
		return found(check, Advice, "make room before it is needed: df -h "+dir, "%s has only %d MiB left", dir, free>>20)
	}
	return found(check, OK, "", "%s has %d MiB left", dir, free>>20)
}

// systems are file systems of which something is to be said.
var systems = map[int64]struct {
	level        Level
	name, advice string
}{
	unix.BTRFS_SUPER_MAGIC: {Advice, "btrfs", "btrfs writes about ten times as much for each small save as ext4 does: put data_dir on ext4"},
	unix.JFFS2_SUPER_MAGIC: {Wrong, "JFFS2", "JFFS2 cannot map a file that is written: put data_dir on another file system (UBIFS, ext4)"},
	unix.NFS_SUPER_MAGIC:   {Wrong, "NFS", "what is acknowledged must be on this device's own disk: put data_dir there"},
	unix.SMB_SUPER_MAGIC:   {Wrong, "SMB", "what is acknowledged must be on this device's own disk: put data_dir there"},
	0xff534d42:             {Wrong, "CIFS", "what is acknowledged must be on this device's own disk: put data_dir there"},
	unix.TMPFS_MAGIC:       {Wrong, "tmpfs", "it is in memory, and gone with the power, and the votes with it: put data_dir on a disk"},
	unix.OVERLAYFS_SUPER_MAGIC: {Advice, "overlayfs", "if its upper layer is in memory (overlayroot, a read-only card), all is gone with the power: " +
		"put data_dir on a partition that can be written"},
	unix.MSDOS_SUPER_MAGIC: {Wrong, "FAT", "FAT has no journal and no owners: put data_dir on ext4"},
	unix.EXT4_SUPER_MAGIC:  {OK, "ext4", ""},
	unix.XFS_SUPER_MAGIC:   {OK, "XFS", ""},
}

// FileSystem judges what dir lies on.
func FileSystem(dir string) Finding {
	const check = "file system"
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return found(check, Wrong, "correct data_dir", "%s cannot be looked at: %v", dir, err)
	}
	if st.Flags&unix.ST_RDONLY != 0 {
		return found(check, Wrong, "dmesg | tail   (a damaged card often becomes read-only)", "%s lies on a file system that is mounted read-only", dir)
	}
	s, ok := systems[int64(uint32(st.Type))]
	if !ok {
		return found(check, OK, "", "%s lies on a file system of type %#x, of which nothing bad is known", dir, uint32(st.Type))
	}
	return found(check, s.level, s.advice, "%s lies on %s", dir, s.name)
}

// Writes of Speed: so few that they are nothing to the card.
const (
	speedWrites = 20
	speedBytes  = 4096
)

// How long a synced write may take at the median and at worst.
const (
	slowMedian = 200 * time.Millisecond
	slowWorst  = 2 * time.Second
)

// Speed writes a few small pieces into dir, each synced as the log's are, and
// judges how long that takes. It stops at deadline, and leaves nothing behind.
func Speed(dir string, deadline time.Time) Finding {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return found("card speed", Advice, "sudo edgeraft doctor", "nothing could be written into %s to measure it: %v", dir, err)
	}
	defer func() { _, _ = f.Close(), os.Remove(f.Name()) }()
	var took []time.Duration
	piece := make([]byte, speedBytes)
	for i := 0; i < speedWrites && time.Now().Before(deadline); i++ {
		began := time.Now()
		_, err := f.WriteAt(piece, int64(i)*speedBytes)
		if err = errors.Join(err, unix.Fdatasync(int(f.Fd()))); err != nil {
			return found("card speed", Wrong, "dmesg | tail", "a synced write into %s failed: %v", dir, err)
		}
		took = append(took, time.Since(began))
	}
	return judgeSpeed(took)
}

func judgeSpeed(took []time.Duration) Finding {
	const check = "card speed"
	if len(took) == 0 {
		return found(check, Wrong, "dmesg | tail", "not one synced write came back in time")
	}
	slices.Sort(took)
	median, worst := took[len(took)/2], took[len(took)-1]
	text := fmt.Sprintf("%d synced writes of 4 KiB: half within %v, the slowest %v", len(took), median.Round(time.Microsecond), worst.Round(time.Microsecond))
	switch {
	case median > slowMedian:
		return found(check, Advice, "a better card (A1 or A2, or industrial) makes each change as much quicker; flash.commit_window = \"adaptive\" lets changes share writes", "%s, which is slow", text)
	case worst > slowWorst:
		return found(check, Advice, "if status often shows a write under way for seconds, replace the card", "%s; cards pause so to clean up, and the cluster stands that", text)
	}
	return found(check, OK, "", "%s", text)
}

// Private judges a file or directory that only its owner, or its group too, may
// use.
func Private(check, path string, group bool) Finding {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return found(check, Advice, "", "%s is not there yet", path)
	case errors.Is(err, fs.ErrPermission):
		return found(check, Advice, "sudo edgeraft doctor", "%s is not this user's to look at", path)
	case err != nil:
		return found(check, Wrong, "", "%s: %v", path, err)
	}
	open := info.Mode().Perm() & 0o077
	remedy := "chmod go= " + path
	if group {
		open, remedy = info.Mode().Perm()&0o007, "chmod o= "+path
	}
	if open != 0 {
		return found(check, Wrong, remedy, "%s may be used by others (mode %04o)", path, info.Mode().Perm())
	}
	return found(check, OK, "", "%s has mode %04o", path, info.Mode().Perm())
}

// Clock judges the wall clock, on which nothing depends but what people read.
func Clock(now, built time.Time) Finding {
	const check = "clock"
	if now.Before(built) {
		return found(check, Advice, "timedatectl set-ntp true   (without the internet: set it by hand, or add an RTC)",
			"it says %s, before this program was made; the cluster does not depend on it, times in the log and in backups do", now.UTC().Format(time.DateOnly))
	}
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil && (state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0) {
		return found(check, Advice, "timedatectl set-ntp true", "nothing keeps it in step (no NTP); the cluster does not depend on it")
	}
	return found(check, OK, "", "it is kept in step")
}

// Platform tells limits of the machine.
func Platform(bits, pageSize int) Finding {
	switch {
	case bits == 32:
		return found("platform", OK, "", "32 bits: a database may have 256 MiB at most, and edgeraft keeps to that; pages of %d bytes", pageSize)
	case pageSize > 4096:
		return found("platform", OK, "", "pages of %d bytes; the database has its own of 4096", pageSize)
	}
	return found("platform", OK, "", "%d bits, pages of %d bytes", bits, pageSize)
}

// Leftovers tells of what an agent put aside in dir.
func Leftovers(dir string, names ...string) []Finding {
	var out []Finding
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil {
			out = append(out, found("leftovers", Advice, "rm "+path+"   (when nobody wants to look at it any more)", "%s, %d MiB, was put aside", path, info.Size()>>20))
		}
	}
	return out
}
