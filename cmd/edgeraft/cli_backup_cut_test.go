package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/internal/powercut"
)

// backupOf is a whole backup of some bytes.
func backupOf(t *testing.T, data []byte) []byte {
	t.Helper()
	before, after, _, err := backup.Encode(backup.Header{Cluster: "default", ClusterID: lostCluster, Index: 3, Term: 1}, data)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(before, data, after)
}

// archiveAgent serves a backup, and ends the connection after so many bytes of it.
func archiveAgent(t *testing.T, whole []byte, upTo int) *fakeAgent {
	return serveFake(t, "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		_, _ = w.Write(whole[:upTo])
	})
}

// asProgram is a command line in a process of its own.
func asProgram(t *testing.T, a *fakeAgent, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = []string{envAsProgram + "=1", "HOME=" + t.TempDir(), "EDGERAFT_CONFIG=" + os.DevNull, "EDGERAFT_SOCKET=" + a.socket, "GORACE=atexit_sleep_ms=0"}
	return cmd
}

func mountDisk(t *testing.T, r powercut.Recording) (*powercut.Disk, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := powercut.Mount(dir, r)
	if err == nil {
		return d, dir
	}
	need.Skip(t, "%v (the test needs /dev/fuse, and root or the command fusermount3; scripts/test-deps.sh installs it)", err)
	return nil, ""
}

// saver takes a backup onto a disk.
type saver struct {
	t          *testing.T
	agent      *fakeAgent
	old, fresh []byte // what is there before, nil for nothing, and the new one
}

const savedName = "state.backup"

func newSaver(t *testing.T, overwrite bool) *saver {
	s := &saver{t: t, fresh: backupOf(t, bytes.Repeat([]byte("new state "), 30_000))}
	if overwrite {
		s.old = backupOf(t, []byte("old state"))
	}
	s.agent = archiveAgent(t, s.fresh, len(s.fresh))
	return s
}

// run takes the backup with the nth event failing, and all writes after it, none for
// 0, and returns what
// happened on the disk from where the backup began.
func (s *saver) run(n int) (r powercut.Recording, began int, code int, said string) {
	s.t.Helper()
	d, dir := mountDisk(s.t, powercut.Recording{Base: powercut.NewImage()})
	args := []string{"backup", filepath.Join(dir, savedName)}
	if s.old != nil {
		args = append(args, "--overwrite")
		put := exec.Command("sh", "-c", `cat >"$0" && sync "$0" "${0%/*}"`, args[1])
		put.Stdin = bytes.NewReader(s.old)
		if out, err := put.CombinedOutput(); err != nil {
			s.t.Fatalf("%v: %s", err, out)
		}
	}
	began = d.Len()
	at := 0
	d.Fail(func(e powercut.Event) syscall.Errno {
		if at++; n > 0 && (at == n || at > n && e.Kind == powercut.Write) {
			return syscall.ENOSPC
		}
		return 0
	})
	cmd := asProgram(s.t, s.agent, args...)
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		s.t.Fatal(err)
	}
	if err := d.Unmount(); err != nil {
		s.t.Fatal(err)
	}
	return d.Recording(), began, cmd.ProcessState.ExitCode(), string(out)
}

// look says what is wrong with what is under the backup's name.
func (s *saver) look(im *powercut.Image, done bool) error {
	got, err := im.ReadFile(savedName)
	switch {
	case err == nil && bytes.Equal(got, s.fresh):
		return nil
	case done:
		return fmt.Errorf("the backup was said to be written, and is not there whole: %d bytes, %v", len(got), err)
	case err != nil && s.old == nil, err == nil && s.old != nil && bytes.Equal(got, s.old):
		return nil
	}
	return fmt.Errorf("something is there that is not whole: %d bytes of %d, %v", len(got), len(s.fresh), err)
}

// TestABackupIsCutOff: whenever the power goes, there is a whole backup under the
// name, or what was there before.
func TestABackupIsCutOff(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		s := newSaver(t, overwrite)
		r, began, code, said := s.run(0)
		if code != exitDone {
			t.Fatal(said)
		}
		h := powercut.NewHistory(r, powercut.Faults{})
		for pos := began; pos < h.Len(); pos++ {
			for _, mode := range powercut.Modes() {
				for seed := range uint64(10) {
					if err := s.look(h.State(pos, mode, seed), pos == h.Len()-1); err != nil {
						t.Errorf("overwrite %v, power cut after event %d of %d, %v, seed %d: %v", overwrite, pos, h.Len()-1, mode, seed, err)
					}
				}
			}
		}
	}
}

// TestABackupOntoAFullDisk: it fails, says so, and leaves nothing, wherever the room
// ends; or, where only the last sync fails, a whole one.
func TestABackupOntoAFullDisk(t *testing.T) {
	for _, overwrite := range []bool{false, true} {
		s := newSaver(t, overwrite)
		r, began, _, _ := s.run(0)
		calls := len(r.Events) - began
		for n := 1; n <= calls; n++ {
			r, began, code, said := s.run(n)
			if code == exitDone && len(r.Events)-began < n {
				break // the stream came in fewer writes this time
			}
			h := powercut.NewHistory(r, powercut.Faults{})
			im := h.Cached(h.Len() - 1)
			if err := s.look(im, false); err != nil || code != exitNo || !strings.Contains(said, "no space left") {
				t.Errorf("overwrite %v, call %d of %d fails: exit code %d, %s; %v", overwrite, n, calls, code, said, err)
			}
			dir := filepath.Join(t.TempDir(), "disk")
			if err := im.Materialise(dir); err != nil {
				t.Fatal(err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
				t.Errorf("overwrite %v, call %d of %d fails: left behind: %v, %v", overwrite, n, calls, left, err)
			}
		}
		if calls < 5 {
			t.Errorf("only %d calls were tried", calls)
		}
	}
}

// TestABackupThatBreaksOff: the agent dies, or whoever takes the backup is killed,
// in the middle.
func TestABackupThatBreaksOff(t *testing.T) {
	whole := backupOf(t, bytes.Repeat([]byte("state "), 50_000))
	for _, upTo := range []int{0, 10, 100, len(whole) / 2, len(whole) - 32, len(whole) - 1} {
		file := filepath.Join(t.TempDir(), savedName)
		out, err := asProgram(t, archiveAgent(t, whole, upTo), "backup", file).CombinedOutput()
		if names, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); err == nil || len(names) > 0 {
			t.Errorf("broken off after %d of %d bytes: %v, %v: %s", upTo, len(whole), err, names, out)
		}
	}
	half, killed := make(chan bool), make(chan bool)
	a := serveFake(t, "", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
		_, _ = w.Write(whole[:len(whole)/2])
		w.(http.Flusher).Flush()
		close(half)
		<-killed
	})
	file := filepath.Join(t.TempDir(), savedName)
	cmd := asProgram(t, a, "backup", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-half
	err := cmd.Process.Kill()
	_ = cmd.Wait()
	close(killed)
	if _, there := os.Stat(file); err != nil || there == nil {
		t.Errorf("killed in the middle: %v; under the name: %v", err, there)
	}
}

// TestABackupThatNobodyReads: a pipe that is closed, and a device that is full, are
// no success.
func TestABackupThatNobodyReads(t *testing.T) {
	whole := backupOf(t, bytes.Repeat([]byte("state "), 50_000))
	a := archiveAgent(t, whole, len(whole))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := asProgram(t, a, "backup", "-")
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if err := cmd.Wait(); err == nil {
		t.Error("the reader was gone, and all was well")
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		need.Skip(t, "there is no /dev/full")
	}
	defer full.Close()
	var said bytes.Buffer
	cmd = asProgram(t, a, "backup", "-")
	cmd.Stdout, cmd.Stderr = full, &said
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitNo || !strings.Contains(said.String(), "no space left") {
		t.Errorf("a full device: %v: %s", err, said.String())
	}
}

// TestJoinAsNewAgain: given again, after it was interrupted or done, the command
// completes.
func TestJoinAsNewAgain(t *testing.T) {
	home := t.TempDir()
	env := []string{"EDGERAFT_DATA_DIR=" + home, "EDGERAFT_KEY_FILE=" + filepath.Join(home, "key"), "EDGERAFT_SOCKET=" + filepath.Join(home, "none")}
	again := func(code int, says string, args ...string) {
		t.Helper()
		if got := runWith(t, env, "", args...); got.code != code || !strings.Contains(got.stdout+got.stderr, says) {
			t.Fatalf("%q: %+v, want %q", args, got, says)
		}
	}
	again(exitDone, "", "init")
	again(exitUsage, "no terminal, so nothing was changed", "join", "--as-new")
	again(exitDone, "has left the cluster", "join", "--as-new", "--yes")
	again(exitDone, "is new already, and nothing was changed", "join", "--as-new", "--yes")
	if err := os.Remove(filepath.Join(home, "log.db")); err != nil { // as a power cut may leave it
		t.Fatal(err)
	}
	again(exitDone, "was interrupted", "join", "--as-new", "--yes")
	again(exitDone, "is new already, and nothing was changed", "join", "--as-new", "--yes")
	other := runLine(t, "", "keygen").stdout
	again(exitNo, "edgeraft join --replace-key KEY gives it the key", "join", "--as-new", "--yes", strings.TrimSpace(other))
	if err := os.Remove(filepath.Join(home, "key")); err != nil {
		t.Fatal(err)
	}
	again(exitNo, "edgeraft join KEY gives it the key", "join", "--as-new", "--yes", strings.TrimSpace(other))
	again(exitDone, "", "join", strings.TrimSpace(other))
	again(exitNo, "edgeraft join --replace-key KEY", "join", "--as-new", "--yes", strings.TrimSpace(runLine(t, "", "keygen").stdout))
	again(exitDone, "", "join", "--replace-key", strings.TrimSpace(runLine(t, "", "keygen").stdout))
	if info, err := os.Stat(filepath.Join(home, "log.db.left")); err != nil || time.Since(info.ModTime()) > time.Hour {
		t.Errorf("what was left: %v", err)
	}
}
