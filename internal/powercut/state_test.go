package powercut_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

const (
	file   = powercut.Root + 1
	sector = powercut.SectorSize
	page   = powercut.BlockSize
)

// events of a file "a" in the root.
func create() powercut.Event {
	return powercut.Event{Kind: powercut.Create, Ino: file, Dir: powercut.Root, Name: "a"}
}

func write(off int64, b byte, n int) powercut.Event {
	return powercut.Event{Kind: powercut.Write, Ino: file, Off: off, Data: bytes.Repeat([]byte{b}, n)}
}

func fsync(i powercut.Ino) powercut.Event { return powercut.Event{Kind: powercut.Sync, Ino: i} }

func truncate(size int64) powercut.Event {
	return powercut.Event{Kind: powercut.Truncate, Ino: file, Off: size}
}

func rename(from, to string) powercut.Event {
	return powercut.Event{Kind: powercut.Rename, Ino: file, Dir: powercut.Root, Name: from, To: to}
}

func history(events ...powercut.Event) *powercut.History {
	return powercut.NewHistory(powercut.Recording{Base: powercut.NewImage(), Events: events}, powercut.Faults{})
}

// summary says what the file is: how many sectors of which content, or "absent".
func summary(im *powercut.Image, name string) string {
	b, err := im.ReadFile(name)
	if err != nil {
		return "absent"
	}
	var out strings.Builder
	for at := 0; at < len(b); at += sector {
		part := b[at:min(len(b), at+sector)]
		if bytes.Count(part, part[:1]) == len(part) && (part[0] == 0 || part[0] >= 'A' && part[0] <= 'z') {
			out.WriteByte(max(part[0], '.'))
		} else {
			out.WriteByte('?')
		}
	}
	return out.String()
}

// outcomes are all the summaries that many seeds give.
func outcomes(h *powercut.History, mode powercut.Mode, name string) []string {
	seen := make(map[string]bool)
	for seed := range uint64(400) {
		seen[summary(h.State(h.Len()-1, mode, seed), name)] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// TestStates holds, for small histories, which states there are, and that all
// of them are found.
func TestStates(t *testing.T) {
	// "a" of one page of A's, all of it durable.
	base := []powercut.Event{create(), write(0, 'A', 2*page), fsync(file), fsync(powercut.Root)}
	oldPage, newPage := strings.Repeat("A", 8), strings.Repeat("B", 8)
	for _, c := range []struct {
		name string
		h    *powercut.History
		mode powercut.Mode
		file string
		want []string // nil: see all
		all  func([]string) bool
	}{
		{name: "data without its name", h: history(create(), write(0, 'A', sector), fsync(file)),
			mode: powercut.Nothing, file: "a", want: []string{"absent"}},
		{name: "a name without its data", h: history(create(), fsync(powercut.Root), write(0, 'A', sector)),
			mode: powercut.Nothing, file: "a", want: []string{""}},
		{name: "a sync of the file is none of its name", h: history(create(), write(0, 'A', sector), fsync(file)),
			mode: powercut.Blocks, file: "a", want: []string{"A", "absent"}},
		{name: "a sync of the directory is none of the data", h: history(create(), write(0, 'A', sector), fsync(powercut.Root)),
			mode: powercut.Sectors, file: "a", want: []string{"", ".", "A"}},
		{name: "a rename", h: history(append(base, rename("a", "b"))...),
			mode: powercut.Blocks, file: "b", want: []string{oldPage + oldPage, "absent"}},
		{name: "a rename, synced", h: history(append(base, rename("a", "b"), fsync(powercut.Root))...),
			mode: powercut.Blocks, file: "b", want: []string{oldPage + oldPage}},
		{name: "everything", h: history(append(base, write(0, 'B', page))...),
			mode: powercut.Everything, file: "a", want: []string{newPage + oldPage}},
		{name: "blocks in any order", h: history(append(base, write(0, 'B', page), write(page, 'B', page))...),
			mode: powercut.Blocks, file: "a", want: []string{oldPage + oldPage, oldPage + newPage, newPage + oldPage, newPage + newPage}},
		{name: "single blocks", h: history(append(base, write(0, 'B', page), write(page, 'B', page))...),
			mode: powercut.Single, file: "a", want: []string{oldPage + newPage, newPage + oldPage}},
		{name: "one block, twice", h: history(append(base, write(0, 'B', page), write(0, 'C', page))...),
			mode: powercut.Blocks, file: "a",
			want: []string{oldPage + oldPage, newPage + oldPage, strings.Repeat("C", 8) + oldPage}},
		{name: "torn sectors", h: history(append(base, write(0, 'B', 2*sector))...),
			mode: powercut.Sectors, file: "a",
			want: []string{"AA" + oldPage[2:] + oldPage, "AB" + oldPage[2:] + oldPage, "BA" + oldPage[2:] + oldPage, "BB" + oldPage[2:] + oldPage}},
		{name: "a prefix", h: history(append(base, write(0, 'B', sector), write(page, 'B', sector))...),
			mode: powercut.Prefix, file: "a",
			want: []string{oldPage + oldPage, "B" + oldPage[1:] + oldPage, "B" + oldPage[1:] + "B" + oldPage[1:]}},
		{name: "growing", h: history(append(base, write(2*page, 'B', sector))...),
			mode: powercut.Blocks, file: "a", want: []string{oldPage + oldPage, oldPage + oldPage + ".", oldPage + oldPage + "B"}},
		{name: "shrinking", h: history(append(base, truncate(page))...),
			mode: powercut.Blocks, file: "a", want: []string{oldPage, oldPage + oldPage, oldPage + "........"}},
		{name: "garbage", h: history(append(base, write(0, 'B', sector))...), mode: powercut.Garbage, file: "a",
			all: func(got []string) bool {
				return slices.Contains(got, strings.Repeat("?", 8)+oldPage) && slices.Contains(got, "........"+oldPage) &&
					!slices.ContainsFunc(got, func(s string) bool { return !strings.HasSuffix(s, oldPage) })
			}},
		{name: "a failed sync, and one that works", h: history(append(base, write(0, 'B', page),
			powercut.Event{Kind: powercut.SyncFailed, Ino: file}, fsync(file))...),
			mode: powercut.Blocks, file: "a", want: []string{oldPage + oldPage, newPage + oldPage}},
	} {
		slices.Sort(c.want)
		got := outcomes(c.h, c.mode, c.file)
		if c.all != nil && !c.all(got) || c.all == nil && !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestStatesAreDecidedBySeeds holds that the same arguments make the same
// state, and that making one changes no other.
func TestStatesAreDecidedBySeeds(t *testing.T) {
	h := history(create(), write(0, 'A', 3*page), fsync(powercut.Root), fsync(file), write(100, 'B', 2*page), truncate(page), rename("a", "b"))
	sums := make(map[[3]uint64]uint64)
	for range 2 {
		for pos := range h.Len() {
			for _, mode := range powercut.Modes() {
				for seed := range uint64(5) {
					key := [3]uint64{uint64(pos), uint64(mode), seed}
					sum := h.State(pos, mode, seed).Sum()
					if was, again := sums[key]; again && was != sum {
						t.Fatalf("position %d, %v, seed %d: another state the second time", pos, mode, seed)
					}
					sums[key] = sum
				}
			}
		}
	}
}

// TestLyingDisk holds that on a disk that lies nothing is ever durable.
func TestLyingDisk(t *testing.T) {
	r := powercut.Recording{Base: powercut.NewImage(), Events: []powercut.Event{create(), fsync(powercut.Root), write(0, 'A', page), fsync(file)}}
	h := powercut.NewHistory(r, powercut.Faults{Lies: true})
	if got := summary(h.State(4, powercut.Nothing, 1), "a"); got != "absent" || h.InFlight(4) != 2 {
		t.Errorf("the file is %q, and %d changes are in flight", got, h.InFlight(4))
	}
}
