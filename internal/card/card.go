// Package card tells what the kernel knows of the flash card, or other disk,
// that a directory lies on, and reckons how long it lasts. What is not known is
// left out, never guessed; what is assumed is a constant here.
package card

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Sys is where Linux has its sysfs.
const Sys = "/sys"

// Card is what a directory lies on. Fields that are empty or 0 are not known.
type Card struct {
	FileSystemBytes uint64
	FreeBytes       uint64 // of those, for the caller

	Device string // the whole disk, as the kernel calls it: mmcblk0
	Bytes  uint64 // its size
	Kind   string // SD or MMC, as the kernel calls them; InMemory
	Model  string // as the disk says

	// LifeUsed is what an eMMC says of its life (JESD84-B51, 7.4.33): the end of
	// the step of ten percent that the worse of its two kinds of cells is in.
	// Above 100: it has outlived what its maker reckoned with. SD cards say
	// nothing. Kernels read it when they start.
	LifeUsed int
	// Spare is what an eMMC says of its spare blocks: one of those below.
	Spare string
}

// InMemory is the kind of a file system that lies on no disk, and wears nothing.
const InMemory = "memory"

// What an eMMC says of its spare blocks (PRE_EOL_INFO).
const (
	SpareNormal  = "normal"
	SpareWarning = "warning" // 80 percent are used up
	SpareUrgent  = "urgent"  // 90 percent
)

// Read tells what dir lies on, with sysfs mounted at sys. The error is that of
// looking at dir; a disk that the kernel does not show is none.
func Read(sys, dir string) (Card, error) {
	var c Card
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return c, fmt.Errorf("look at the card below %s: %w", dir, err)
	}
	var system unix.Statfs_t
	if err := unix.Statfs(dir, &system); err != nil {
		return c, fmt.Errorf("look at the card below %s: %w", dir, err)
	}
	block := uint64(max(system.Bsize, 0))
	c.FileSystemBytes, c.FreeBytes = system.Blocks*block, system.Bavail*block
	if kind := uint32(system.Type); kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC {
		c.Kind = InMemory
		return c, nil
	}
	c.readDisk(sys, unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)))
	return c, nil
}

// maxLayers bounds how many devices lie on top of each other: a partition, a
// logical volume, encryption.
const maxLayers = 8

// readDisk fills in what sysfs has of the disk behind a block device.
func (c *Card) readDisk(sys string, major, minor uint32) {
	path, err := filepath.EvalSymlinks(filepath.Join(sys, "dev/block", fmt.Sprintf("%d:%d", major, minor)))
	if err != nil {
		return // no block device: a network, memory
	}
	for range maxLayers {
		below, ok := lower(path)
		if !ok {
			break
		}
		path = below
	}
	c.Device = filepath.Base(path)
	// In units of 512 bytes, whatever the disk's sectors are.
	if n, err := strconv.ParseUint(value(path, "size"), 10, 54); err == nil {
		c.Bytes = n * 512
	}
	c.Kind = value(path, "device/type")
	if kind := c.Kind; kind != "SD" && kind != "MMC" {
		c.Kind = "" // of other disks it is a number of the SCSI standard
	}
	c.Model = value(path, "device/name")
	if c.Model == "" {
		c.Model = value(path, "device/model")
	}
	for _, text := range strings.Fields(value(path, "device/life_time")) {
		// 0 is "not defined", 11 "exceeded"; more is reserved.
		if n, err := strconv.ParseUint(text, 0, 8); err == nil && n <= 11 {
			c.LifeUsed = max(c.LifeUsed, int(n)*10)
		}
	}
	if n, err := strconv.ParseUint(value(path, "device/pre_eol_info"), 0, 8); err == nil {
		c.Spare = map[uint64]string{1: SpareNormal, 2: SpareWarning, 3: SpareUrgent}[n]
	}
}

// lower returns the device that the one at path is a part of, or lies on, if
// there is one and only one.
func lower(path string) (string, bool) {
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		return filepath.Dir(path), true
	}
	slaves, err := os.ReadDir(filepath.Join(path, "slaves"))
	if err != nil || len(slaves) != 1 {
		return "", false
	}
	below, err := filepath.EvalSymlinks(filepath.Join(path, "slaves", slaves[0].Name()))
	return below, err == nil
}

// maxValue bounds what is read of a file of sysfs, in bytes; more is cut off.
const maxValue = 256

// value is what a file of sysfs says, without the space around it; "" where
// there is none.
func value(path, name string) string {
	f, err := os.Open(filepath.Join(path, name))
	if err != nil {
		return ""
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxValue))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
