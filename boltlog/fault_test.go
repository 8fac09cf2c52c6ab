package boltlog

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// TestEveryOperationFails makes each write, sync and commit of a run fail, in
// turn. The save at hand fails, nothing is done to the file after it, and what
// was acknowledged is there when it is opened again, with or without that save.
func TestEveryOperationFails(t *testing.T) {
	const steps = 25
	r := rand.New(rand.NewPCG(5, 6))
	var saves []raft.Save
	models := []raft.Stored{{}}
	for range steps {
		s := randomSave(r, models[len(models)-1])
		model := models[len(models)-1]
		apply(&model, s)
		saves, models = append(saves, s), append(models, model)
	}
	dir := t.TempDir()
	l, _ := open(t, dir)
	mustClose(t, l)
	reached := false
	for fail := 0; !reached; fail++ {
		t.Run(fmt.Sprint(fail), func(t *testing.T) {
			to, acked, after, err := runToFault(t, copyDir(t, dir), saves, fail)
			if err == nil {
				reached = true
				return
			}
			if after != 0 {
				t.Errorf("%d operations after the failed one", after)
			}
			_, got := open(t, to)
			if !reflect.DeepEqual(got.Stored, models[acked]) && (acked == steps || !reflect.DeepEqual(got.Stored, models[acked+1])) {
				t.Errorf("after %d saves: %s", acked, difference(got.Stored, models[acked]))
			}
		})
	}
}

// runToFault opens dir and saves, with the operation of this number failing.
func runToFault(t *testing.T, dir string, saves []raft.Save, fail int) (_ string, acked, after int, err error) {
	t.Helper()
	opt, n := home, 0
	opt.tap = func(operation, int64, int) error {
		n++
		if n == fail+1 {
			return syscall.EIO
		}
		return nil
	}
	l, _, err := Open(dir, opt)
	if err != nil {
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("error %v", err)
		}
		return dir, 0, n - fail - 1, err
	}
	for _, s := range saves {
		if err = l.Save(s); err != nil {
			break
		}
		acked++
	}
	if err != nil && (!errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO)) {
		t.Errorf("error %v", err)
	}
	if again := l.Save(raft.Save{}); err != nil && again != err {
		t.Errorf("first %v, then %v", err, again)
	}
	closing := l.Close()
	if err == nil && closing != nil { // the failing one was that of Close
		err = closing
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("close: %v", err)
		}
	} else if closing != nil {
		t.Errorf("close: %v", closing)
	}
	return dir, acked, n - fail - 1, err
}
