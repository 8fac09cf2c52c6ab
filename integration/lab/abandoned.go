package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// namespacePrefix begins the name of every namespace of every lab. After it
// come the owner, the network's number and the device.
const namespacePrefix = "edgeraft-lab-"

// ownerOf names a process so that no other ever has that name while the
// machine is up: its ID, and when it was started, in ticks since the boot.
func ownerOf(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("look up process %d: %w", pid, err)
	}
	// The name of the program, in parentheses, may hold anything. After it
	// comes field 3; the start time is field 22 (proc(5)).
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return "", fmt.Errorf("look up process %d: /proc/%d/stat has %d fields", pid, pid, len(fields)+2)
	}
	return fmt.Sprintf("%d.%s", pid, fields[19]), nil
}

// removeAbandoned removes the namespaces of tests that were killed.
func removeAbandoned(t testing.TB) {
	t.Helper()
	names, err := os.ReadDir("/run/netns")
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Logf("looking for abandoned namespaces: %v", err)
		}
		return
	}
	for _, entry := range names {
		if abandoned(entry.Name()) {
			t.Logf("removing the abandoned namespace %s", entry.Name())
			removeNamespace(t, entry.Name())
		}
	}
}

// abandoned reports whether a namespace is one of a lab whose process ended.
func abandoned(name string) bool {
	rest, ours := strings.CutPrefix(name, namespacePrefix)
	owner, _, _ := strings.Cut(rest, "-")
	pidText, _, _ := strings.Cut(owner, ".")
	pid, err := strconv.Atoi(pidText)
	if !ours || err != nil {
		return false
	}
	now, err := ownerOf(pid)
	return errors.Is(err, fs.ErrNotExist) || err == nil && now != owner
}

// removeNamespace removes a namespace and ends what still runs in it. What
// does not work is told, and left to the next run.
func removeNamespace(t testing.TB, name string) {
	if _, err := os.Stat("/run/netns/" + name); errors.Is(err, fs.ErrNotExist) {
		return // building stopped before it
	}
	pids, err := exec.Command("ip", "netns", "pids", name).Output()
	if err != nil {
		t.Logf("looking for processes in namespace %s: %v", name, err)
	}
	for _, text := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(text)
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // it may just have ended
		}
	}
	if out, err := exec.Command("ip", "netns", "del", name).CombinedOutput(); err != nil {
		t.Logf("removing namespace %s: %v\n%s", name, err, out)
	}
}
