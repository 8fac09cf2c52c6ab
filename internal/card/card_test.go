package card

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeSys makes a sysfs of these files, and links, which begin with "-> ".
func fakeSys(t *testing.T, files map[string]string) string {
	t.Helper()
	sys := t.TempDir()
	for name, text := range files {
		path := filepath.Join(sys, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(text, "-> "); ok {
			err = os.Symlink(filepath.Join(sys, to), path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return sys
}

const mmc = "devices/soc/mmc_host/mmc0/mmc0:0001/"

func TestDisks(t *testing.T) {
	emmc := func(life, eol string) map[string]string {
		return map[string]string{
			"dev/block/179:2":                         "-> " + mmc + "block/mmcblk0/mmcblk0p2",
			mmc + "block/mmcblk0/size":                "61071360\n",
			mmc + "block/mmcblk0/device":              "-> " + mmc,
			mmc + "block/mmcblk0/mmcblk0p2/size":      "60000000\n",
			mmc + "block/mmcblk0/mmcblk0p2/partition": "2\n",
			mmc + "type":                              "MMC\n",
			mmc + "name":                              "BJTD4R\n",
			mmc + "life_time":                         life,
			mmc + "pre_eol_info":                      eol,
		}
	}
	for name, c := range map[string]struct {
		files        map[string]string
		major, minor uint32
		want         Card
	}{
		"no block device": {nil, 0, 33, Card{}},
		"an SD card": {map[string]string{
			"dev/block/179:2":                         "-> " + mmc + "block/mmcblk0/mmcblk0p2",
			mmc + "block/mmcblk0/size":                "62333952\n",
			mmc + "block/mmcblk0/device":              "-> " + mmc,
			mmc + "block/mmcblk0/mmcblk0p2/size":      "61800448\n",
			mmc + "block/mmcblk0/mmcblk0p2/partition": "2\n",
			mmc + "type":                              "SD\n",
			mmc + "name":                              "SU32G\n",
		}, 179, 2, Card{Device: "mmcblk0", Bytes: 62333952 * 512, Kind: "SD", Model: "SU32G"}},
		"a new eMMC": {emmc("0x01 0x01\n", "0x01\n"), 179, 2,
			Card{Device: "mmcblk0", Bytes: 61071360 * 512, Kind: "MMC", Model: "BJTD4R", LifeUsed: 10, Spare: SpareNormal}},
		"an old eMMC": {emmc("0x03 0x0a\n", "0x02\n"), 179, 2,
			Card{Device: "mmcblk0", Bytes: 61071360 * 512, Kind: "MMC", Model: "BJTD4R", LifeUsed: 100, Spare: SpareWarning}},
		"a worn eMMC": {emmc("0x0b 0x01\n", "0x03\n"), 179, 2,
			Card{Device: "mmcblk0", Bytes: 61071360 * 512, Kind: "MMC", Model: "BJTD4R", LifeUsed: 110, Spare: SpareUrgent}},
		"an eMMC that does not tell": {emmc("0x00 0x00\n", "0x00\n"), 179, 2,
			Card{Device: "mmcblk0", Bytes: 61071360 * 512, Kind: "MMC", Model: "BJTD4R"}},
		"an eMMC that talks nonsense": {emmc("0xff -3 x\n", "9999999999\n"), 179, 2,
			Card{Device: "mmcblk0", Bytes: 61071360 * 512, Kind: "MMC", Model: "BJTD4R"}},
		"an encrypted volume on a partition of a USB disk": {map[string]string{
			"dev/block/253:0":                        "-> devices/virtual/block/dm-0",
			"devices/virtual/block/dm-0/size":        "1000\n",
			"devices/virtual/block/dm-0/slaves/sda1": "-> devices/usb/block/sda/sda1",
			"devices/usb/block/sda/sda1/partition":   "1\n",
			"devices/usb/block/sda/size":             "2000\n",
			"devices/usb/block/sda/device/type":      "0\n",
			"devices/usb/block/sda/device/model":     "Flash Disk      \n",
		}, 253, 0, Card{Device: "sda", Bytes: 2000 * 512, Model: "Flash Disk"}},
		"a volume on two disks": {map[string]string{
			"dev/block/253:0":                       "-> devices/virtual/block/dm-0",
			"devices/virtual/block/dm-0/size":       "1000\n",
			"devices/virtual/block/dm-0/slaves/sda": "-> devices/sda",
			"devices/virtual/block/dm-0/slaves/sdb": "-> devices/sdb",
		}, 253, 0, Card{Device: "dm-0", Bytes: 512000}},
		"a size that is none": {map[string]string{
			"dev/block/8:0":        "-> devices/sda",
			"devices/sda/size":     strings.Repeat("9", 1000),
			"devices/sda/readonly": "0",
		}, 8, 0, Card{Device: "sda"}},
		"a device on itself": {map[string]string{
			"dev/block/8:0":          "-> devices/sda",
			"devices/sda/slaves/sda": "-> devices/sda",
		}, 8, 0, Card{Device: "sda"}},
	} {
		var got Card
		if got.readDisk(fakeSys(t, c.files), c.major, c.minor); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	c, err := Read(Sys, dir)
	if err != nil || c.FileSystemBytes == 0 || c.FreeBytes > c.FileSystemBytes {
		t.Errorf("%+v, %v", c, err)
	}
	without, err := Read(t.TempDir(), dir)
	if want := (Card{FileSystemBytes: without.FileSystemBytes, FreeBytes: without.FreeBytes}); err != nil || without != want {
		t.Errorf("without sysfs: %+v, %v", without, err)
	}
	if _, err := Read(Sys, filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v", err)
	}
}

func TestPredict(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		size, written uint64
		span          time.Duration
		perDay        uint64
		years         float64 // 0: no forecast
	}{
		// 32 GB, of which each byte bears 1000/4 writes, and 4242 bytes a second:
		// 8e12 / (4242 * 31.5576e6).
		{32e9, 4242 * 86400, day, 366508800, 59.76},
		{32e9, 4242 * 86400 * 30, 30 * day, 366508800, 59.76},
		{8e9, 5475701574, day, 5475701574, 1.0}, // 2e12 in a year
		{8e9, 0, day, 0, 0},
		{0, 1, day, 0, 0},
		{8e9, 1 << 40, day - 1, 0, 0},
		{8e9, 1 << 40, -day, 0, 0},
		{math.MaxUint64, 1, 100 * 365 * day, 0, 4.608e23},
	} {
		f, ok := Predict(c.size, c.written, c.span)
		if ok != (c.years != 0) || ok && (math.Abs(f.Years/c.years-1) > 0.01 || f.BytesPerDay != c.perDay) {
			t.Errorf("%d bytes, %d written in %v: %+v, %v; want %d a day, %v years", c.size, c.written, c.span, f, ok, c.perDay, c.years)
		}
	}
}
