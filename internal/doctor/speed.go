package doctor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

const checkSpeed = "card speed"

// What is written to measure a card: SpeedWrites pages, one after the other in
// the place of some that are there already, each synced, as the log's are.
const (
	SpeedWrites = 50
	speedPage   = 4096
	speedPlace  = 4 // pages
	// speedFor ends the measurement of a card that is in trouble.
	speedFor = 8 * time.Second
)

// SpeedBytes is how much is written to measure a card.
const SpeedBytes = (SpeedWrites + speedPlace) * speedPage

// How long a synced write may take. A good card takes 3 to 15 ms, and pauses of
// 50 to 300 ms are usual; a change is committed no sooner than a majority's writes
// come back.
const (
	slowMedian  = 50 * time.Millisecond
	awfulMedian = 250 * time.Millisecond
	slowMost    = time.Second
	slowWorst   = 3 * time.Second
)

// sample is what came of the measurement.
type sample struct {
	took []time.Duration
	// pending is how long the write that did not come back has lasted; 0: all did.
	pending time.Duration
	err     error
}

// step is what came of one write.
type step struct {
	took time.Duration
	err  error
}

// speed measures the card below dir. The agent's own database is not touched. child
// is the command that calls Measure, if there is one.
func speed(ctx context.Context, dir string, child []string) Finding {
	at := nearest(dir)
	ctx, cancel := context.WithTimeout(ctx, speedFor)
	defer cancel()
	return judgeSpeed(at, measure(ctx, at, child))
}

// measure returns when ctx ends, also while a write hangs. A process of which a
// thread hangs in the kernel cannot end, so the writes are made by a child.
func measure(ctx context.Context, dir string, child []string) sample {
	steps := make(chan step, SpeedWrites+1) // nobody waits for who hangs
	go func() {
		defer close(steps)
		if !measureInChild(ctx, dir, child, steps) {
			write(dir, func() bool { return ctx.Err() == nil }, func(x step) { steps <- x })
		}
	}()
	var s sample
	last := time.Now()
	for {
		select {
		case x, more := <-steps:
			switch {
			case !more:
				return s
			case x.err != nil:
				s.err = x.err
				return s
			}
			s.took, last = append(s.took, x.took), time.Now()
		case <-ctx.Done():
			if len(s.took) < SpeedWrites {
				s.pending = time.Since(last)
			}
			return s
		}
	}
}

// MeasureEnv is the variable that tells the child where to write.
const MeasureEnv = "EDGERAFT_DOCTOR_MEASURE"

// measureInChild reports whether there was a child that measured.
func measureInChild(ctx context.Context, dir string, child []string, steps chan<- step) bool {
	if len(child) == 0 {
		return false
	}
	cmd := exec.CommandContext(ctx, child[0], child[1:]...)
	cmd.Env = append(os.Environ(), MeasureEnv+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return false
	}
	lines := bufio.NewScanner(out)
	n := 0
	for ; n <= SpeedWrites && lines.Scan(); n++ {
		var took, errno int64
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &took, &errno); err != nil {
			break
		}
		x := step{took: time.Duration(took)}
		if errno != 0 {
			x.err = unix.Errno(errno)
		}
		steps <- x
	}
	_ = cmd.Wait() // what it said counts
	return n > 0 || ctx.Err() != nil
}

// Measure is what the child does: it writes into dir, and prints for each write how
// many nanoseconds it took, and the number of the error, 0 for none.
func Measure(out io.Writer, dir string) {
	write(dir, func() bool { return true }, func(x step) {
		errno := unix.Errno(0)
		if x.err != nil && !errors.As(x.err, &errno) {
			errno = unix.EIO
		}
		fmt.Fprintf(out, "%d %d\n", x.took, errno)
	})
}

// write makes the writes, one after the other, and tells of each. It ends at the
// first that fails.
func write(dir string, on func() bool, tell func(step)) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		tell(step{err: err})
		return
	}
	// Without a name it goes away whatever becomes of this process.
	err = os.Remove(f.Name())
	defer f.Close()
	piece := make([]byte, speedPage)
	for i := range speedPlace {
		_, e := f.WriteAt(piece, int64(i)*speedPage)
		err = errors.Join(err, e)
	}
	if err = errors.Join(err, f.Sync()); err != nil {
		tell(step{err: err})
		return
	}
	for i := 0; i < SpeedWrites && on(); i++ {
		piece[0] = byte(i + 1)
		began := time.Now()
		_, err := f.WriteAt(piece, int64(i%speedPlace)*speedPage)
		err = errors.Join(err, unix.Fdatasync(int(f.Fd())))
		tell(step{time.Since(began), err})
		if err != nil {
			return
		}
	}
}

func judgeSpeed(dir string, s sample) Finding {
	say := func(l Level, format string, args ...any) Finding {
		return found(groupStorage, checkSpeed, l, format, args...)
	}
	switch {
	case errors.Is(s.err, fs.ErrPermission):
		return say(Note, "this user may not write into %s, so it was not measured", dir).typing("sudo edgeraft doctor")
	case errors.Is(s.err, unix.ENOSPC):
		return say(Error, "there was no room in %s for the %d KiB of the measurement", dir, SpeedBytes>>10).typing("df -h %s", dir)
	case errors.Is(s.err, unix.EROFS):
		return say(Note, "not measured: %s cannot be written", dir)
	case s.err != nil:
		return say(Error, "a synced write into %s failed: %v", dir, s.err).
			do("the card or its contacts are bad: make a backup, replace it").typing("dmesg | grep -iE 'mmc|I/O error' | tail")
	case len(s.took) == 0:
		return say(Error, "no synced write came back within %v: the disk is stuck", s.pending.Round(time.Second)).
			do("if it stays so, start the device anew, and replace the card").typing("dmesg | tail")
	}
	slices.Sort(s.took)
	n := len(s.took)
	median, most, worst := s.took[(n-1)/2], s.took[max(n-2, 0)], s.took[n-1]
	worst = max(worst, s.pending)
	text := fmt.Sprintf("%d synced writes of 4 KiB: half within %v, all but one within %v, the slowest %v", n, short(median), short(most), short(worst))
	const better = "a better card (class A1 or A2, or industrial) makes each change as much quicker"
	switch {
	case median >= awfulMedian:
		return say(Warning, "%s. This is very slow, and each change waits for a majority of such writes", text).
			do("%s; flash.commit_window = \"adaptive\" lets changes share writes", better)
	case most >= slowMost:
		return say(Warning, "%s. It pauses often, as cards do that are worn or nearly full", text).
			do("make room on it and run fstrim; if that does not help, replace it").typing("sudo fstrim -v %s", dir)
	case median >= slowMedian:
		return say(Note, "%s. This is slow", text).do("%s", better)
	case worst >= slowWorst:
		return say(Note, "%s. Cards pause to clean up, and the cluster stands that", text)
	}
	return say(OK, "%s", text)
}

// short rounds a time to what matters of it.
func short(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}
