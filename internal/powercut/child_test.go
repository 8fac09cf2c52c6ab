package powercut_test

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/powercut"
	"github.com/edgeraft/edgeraft/raft"
)

// The program under test is this test's binary, started again: it must not
// share a process with the file system it uses, and it may die of what it finds.

const childEnv = "EDGERAFT_POWERCUT_CHILD"

// dataDir is what a device calls its directory, below the root of its disk.
const dataDir = "data"

// request is one call to a child.
type request struct {
	Op   string
	Dir  string // of open, check, inspect: the root of the disk
	Save raft.Save
	// Early makes save the log that acknowledges before it saves.
	Early bool
	Owed  promise // of load: for check and inspect
	Marks []mark  // of load: what came after Owed
	Upto  int     // of check: how many of the Marks
	Pages int     // of the ring, of open and load
}

// reply is a child's answer.
type reply struct {
	Err    string
	Failed bool // it wraps boltlog.ErrFailed
	Full   bool // it wraps raft.ErrDiskFull
	Opened boltlog.Opened
	// Verdict of check and inspect: "" if all is well.
	Verdict string
	Damaged bool // of inspect: Open said so
	Lost    int  // of inspect: how many of the newest saves are missing, and nothing else is wrong
}

type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	enc    *gob.Encoder
	dec    *gob.Decoder
	stderr bytes.Buffer
}

func startChild() (*child, error) {
	c := &child{cmd: exec.Command(os.Args[0])}
	// The race detector has each process wait for a second at its end.
	c.cmd.Env = append(os.Environ(), childEnv+"=1", "GOMAXPROCS=2", "GORACE=atexit_sleep_ms=0")
	c.cmd.Stderr = &c.stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.enc, c.dec = in, gob.NewEncoder(in), gob.NewDecoder(out)
	return c, c.cmd.Start()
}

// call fails when the child dies.
func (c *child) call(q request) (reply, error) {
	var r reply
	if err := c.enc.Encode(q); err != nil {
		return r, c.died(err)
	}
	if err := c.dec.Decode(&r); err != nil {
		return r, c.died(err)
	}
	return r, nil
}

func (c *child) died(err error) error {
	_ = c.in.Close()
	wait := c.cmd.Wait() // also when the stream is broken: stdin is at its end
	return fmt.Errorf("the process died: %w: %v: %.2000s", err, wait, c.stderr.String())
}

func (c *child) stop() { _ = c.in.Close(); _ = c.cmd.Wait() }

// must is call where a death or an error fails the test.
func (c *child) must(t testing.TB, q request) reply {
	t.Helper()
	r, err := c.call(q)
	if err != nil {
		t.Fatalf("%s: %v", q.Op, err)
	}
	if r.Err != "" {
		t.Fatalf("%s: %s", q.Op, r.Err)
	}
	return r
}

// device is the child's side.
type device struct {
	log   *boltlog.Log
	early *raft.Save // acknowledged, and not saved
	owed  []promise  // after each of the loaded marks
	opt   boltlog.Options
}

func childMain() {
	var d device
	in, out := gob.NewDecoder(os.Stdin), gob.NewEncoder(os.Stdout)
	for {
		var q request
		if err := in.Decode(&q); err != nil {
			return // the parent is done
		}
		r, err := d.serve(q)
		if err != nil {
			r.Err, r.Failed, r.Full = err.Error(), errors.Is(err, boltlog.ErrFailed), errors.Is(err, raft.ErrDiskFull)
		}
		if err := out.Encode(r); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func (d *device) serve(q request) (r reply, err error) {
	dir := filepath.Join(q.Dir, dataDir)
	switch q.Op {
	case "open":
		d.log, r.Opened, err = boltlog.Open(dir, options(q.Pages))
		if err != nil {
			d.log = nil
		}
	case "save":
		if !q.Early {
			err = d.log.Save(q.Save)
			break
		}
		if d.early != nil {
			err = d.log.Save(*d.early)
		}
		d.early = &q.Save
	case "close":
		if d.log != nil {
			err = d.log.Close()
		}
		d.log, d.early = nil, nil
	case "load":
		d.opt, d.owed = options(q.Pages), []promise{q.Owed}
		for _, m := range q.Marks {
			p, err := d.owed[len(d.owed)-1].after(m)
			if err != nil {
				return r, err
			}
			d.owed = append(d.owed, p)
		}
	case "check":
		if err := check(dir, d.opt, d.owed[q.Upto]); err != nil {
			r.Verdict = err.Error()
		}
	case "inspect":
		r.Damaged, r.Lost, err = inspect(dir, d.opt, d.owed[:q.Upto+1])
		if err != nil {
			r.Verdict, err = err.Error(), nil
		}
	default:
		err = fmt.Errorf("no operation %q", q.Op)
	}
	return r, err
}

// options has the file as small as may be: whatever happens when something is
// full shall happen often.
func options(pages int) boltlog.Options {
	const page = powercut.BlockSize
	return boltlog.Options{ClusterName: "cut", RingSize: pages * page, Preallocate: pages*page + 64<<10}
}

// check opens what a power cut left, sees that p is kept, and uses it: two
// saves, and a second start that finds them.
func check(dir string, opt boltlog.Options, p promise) error {
	l, opened, err := boltlog.Open(dir, opt)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	c, err := p.keeps(opened)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	next := promise{Known: true, ID: opened.Identity.ID, Boot: opened.Identity.Boot, Content: c}
	for i := range 2 {
		s := further(next.Content, i)
		if err := l.Save(s); err != nil {
			return errors.Join(fmt.Errorf("save %d after the cut: %w", i+1, err), l.Close())
		}
		next.Content = next.Content.after(s)
	}
	if err := l.Close(); err != nil {
		return err
	}
	l, opened, err = boltlog.Open(dir, opt)
	if err != nil {
		return fmt.Errorf("second open: %w", err)
	}
	_, err = next.keeps(opened)
	if err != nil {
		err = fmt.Errorf("second open: %w", err)
	}
	return errors.Join(err, l.Close())
}

// further is a save that follows on c.
func further(c content, i int) raft.Save {
	s := raft.Save{Seq: uint64(i + 1), State: c.State, First: c.First}
	s.State.Term++
	s.State.Vote = raft.NodeIDFrom([10]byte{9})
	for k := range raft.Index(3) {
		s.Entries = append(s.Entries, raft.Entry{
			Index: c.last() + 1 + k, Term: s.State.Term, Kind: raft.EntryCommand, ID: 7, Data: []byte("after the cut"),
		})
	}
	s.State.Commit = c.last()
	return s
}

// inspect opens what was harmed at rest. Either it is refused, as damaged or
// as that of two devices, or it holds exactly what was acknowledged at the end
// of owed, or some saves before that. Anything else is an error.
func inspect(dir string, opt boltlog.Options, owed []promise) (damaged bool, lost int, err error) {
	l, opened, err := boltlog.Open(dir, opt)
	if errors.Is(err, boltlog.ErrDamaged) || errors.Is(err, boltlog.ErrOtherDevice) {
		return true, 0, nil
	}
	if err != nil {
		return false, 0, fmt.Errorf("open: %w", err)
	}
	end := owed[len(owed)-1]
	_, err = end.keeps(opened)
	for i := len(owed) - 2; i >= 0 && err != nil; i-- {
		if owed[i].InFlight == nil {
			continue // the same content as after it
		}
		lost++
		before := promise{Known: end.Known, ID: end.ID, Boot: end.Boot, Content: owed[i].Content}
		if _, older := before.keeps(opened); older == nil {
			err = nil
		}
	}
	return false, lost, errors.Join(err, l.Close())
}
