package doctor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// serviceGroup is the group whose members may use the packaged agent's socket.
const serviceGroup = "edgeraft"

// maxStray bounds the files of another owner that are named.
const maxStray = 3

// entry is a file or directory as it was found.
type entry struct {
	path     string
	err      error
	mode     fs.FileMode
	uid, gid int
	size     int64
}

func lookAt(path string) entry {
	e := entry{path: path}
	var info fs.FileInfo
	if info, e.err = os.Stat(path); e.err != nil {
		return e
	}
	e.mode, e.size = info.Mode(), info.Size()
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		e.uid, e.gid = int(st.Uid), int(st.Gid)
	}
	return e
}

// names are the users of the device, by number (passwd(5)).
type names map[int]string

func (h host) names() names {
	n := names{}
	text, _ := h.read("etc/passwd") // where it cannot be read, numbers are shown
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) < 3 {
			continue
		}
		if id, err := strconv.Atoi(f[2]); err == nil && n[id] == "" {
			n[id] = f[0]
		}
	}
	return n
}

func (n names) user(id int) string {
	if n[id] == "" {
		return strconv.Itoa(id)
	}
	return n[id]
}

func (h host) files(s Subject) []Finding {
	n := h.names()
	dir := lookAt(s.DataDir)
	out := []Finding{judgeKey(lookAt(s.KeyFile), dir, s.Key, n)}
	out = append(out, judgeDataDir(dir, strays(dir), n))
	out = append(out, judgeSocket(lookAt(s.Socket), unix.Faccessat(unix.AT_FDCWD, s.Socket, unix.R_OK|unix.W_OK, unix.AT_EACCESS) == nil, h.membership(n), s.Listens))
	for _, name := range s.Leftovers {
		if e := lookAt(filepath.Join(s.DataDir, name)); e.err == nil {
			out = append(out, found(groupFiles, "leftovers", Note, "%s, %d MiB, was put aside", e.path, e.size>>20).
				do("when nobody wants to look at it any more").typing("sudo rm %s", e.path))
		}
	}
	return out
}

// judgeKey judges the key file. dir is the data directory: whose it is tells as
// whom the agent runs.
func judgeKey(key, dir entry, unusable error, n names) Finding {
	const check = "key file"
	switch perm := key.mode.Perm(); {
	case errors.Is(key.err, fs.ErrNotExist):
		return found(groupFiles, check, Note, "%s is not there yet", key.path).do("the first device makes it with edgeraft init").typing("edgeraft join KEY")
	case errors.Is(key.err, fs.ErrPermission):
		return found(groupFiles, check, Note, "%s is not this user's to look at", key.path).typing("sudo edgeraft doctor")
	case key.err != nil:
		return found(groupFiles, check, Error, "%v", key.err)
	case perm&0o077 != 0:
		return found(groupFiles, check, Error, "%s may be used by others (mode %04o), and whoever has it can join the cluster", key.path, perm).
			do("if strangers may have read it, change the key, too: edgeraft keygen --help").typing("sudo chmod go= %s", key.path)
	case dir.err == nil && dir.uid != 0 && dir.uid != key.uid:
		return found(groupFiles, check, Error, "%s belongs to %s, but the agent runs as %s, whose %s is, and cannot read it", key.path, n.user(key.uid), n.user(dir.uid), dir.path).
			typing("sudo chown %s %s", n.user(dir.uid), key.path)
	case unusable != nil:
		return found(groupFiles, check, Error, "%v", unusable).do("delete it, and join again").typing("edgeraft join KEY")
	default:
		return found(groupFiles, check, OK, "%s has mode %04o and belongs to %s", key.path, perm, n.user(key.uid))
	}
}

// strays are files in the data directory that belong to others than the directory
// does, as after an agent was once started by root.
func strays(dir entry) []entry {
	f, err := os.Open(dir.path)
	if err != nil {
		return nil
	}
	defer f.Close()
	all, _ := f.Readdirnames(maxEntries) // what could be read is what there is to look at
	var out []entry
	for _, name := range all {
		if e := lookAt(filepath.Join(dir.path, name)); e.err == nil && e.uid != dir.uid {
			out = append(out, e)
		}
	}
	return out
}

func judgeDataDir(dir entry, strays []entry, n names) Finding {
	const check = "data_dir"
	switch perm := dir.mode.Perm(); {
	case errors.Is(dir.err, fs.ErrNotExist):
		return found(groupFiles, check, Note, "%s is not there yet; the agent makes it when it starts", dir.path)
	case errors.Is(dir.err, fs.ErrPermission):
		return found(groupFiles, check, Note, "%s is not this user's to look at", dir.path).typing("sudo edgeraft doctor")
	case dir.err != nil:
		return found(groupFiles, check, Error, "%v", dir.err)
	case !dir.mode.IsDir():
		return found(groupFiles, check, Error, "%s is no directory", dir.path).do("correct data_dir")
	case perm&0o007 != 0:
		return found(groupFiles, check, Error, "%s may be used by others (mode %04o)", dir.path, perm).typing("sudo chmod o= %s", dir.path)
	case perm&0o300 != 0o300:
		return found(groupFiles, check, Error, "%s may not be written by its owner %s (mode %04o)", dir.path, n.user(dir.uid), perm).typing("sudo chmod 700 %s", dir.path)
	case len(strays) > 0:
		var text []string
		for _, e := range strays[:min(len(strays), maxStray)] {
			text = append(text, filepath.Base(e.path)+" ("+n.user(e.uid)+")")
		}
		level := Warning
		if dir.uid != 0 { // root may use them all the same
			level = Error
		}
		return found(groupFiles, check, level, "%s belongs to %s, but %d files in it do not: %s. Was an agent once started by hand?", dir.path, n.user(dir.uid), len(strays), strings.Join(text, ", ")).
			typing("sudo chown -R %s: %s", n.user(dir.uid), dir.path)
	default:
		return found(groupFiles, check, OK, "%s has mode %04o and belongs to %s", dir.path, perm, n.user(dir.uid))
	}
}

// membership is how the caller stands to the socket's group.
type membership struct {
	root      bool
	user      string
	exists    bool // there is such a group
	listed    bool // the database says that the user is a member
	effective bool // this process is one
	gid       int
}

func (h host) membership(n names) membership {
	m := membership{root: h.uid == 0, user: n.user(h.uid)}
	text, _ := h.read("etc/group")
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 4 || f[0] != serviceGroup {
			continue
		}
		gid, err := strconv.Atoi(f[2])
		if err != nil {
			continue
		}
		m.exists, m.gid = true, gid
		for member := range strings.SplitSeq(f[3], ",") {
			m.listed = m.listed || member == m.user
		}
	}
	passwd, _ := h.read("etc/passwd")
	for line := range strings.Lines(passwd) { // the group that a user has first
		f := strings.Split(line, ":")
		if len(f) > 3 && f[0] == m.user && f[3] == strconv.Itoa(m.gid) {
			m.listed = m.listed || m.exists
		}
	}
	mine, _ := os.Getgroups()
	for _, gid := range append(mine, os.Getegid()) {
		m.effective = m.effective || m.exists && gid == m.gid
	}
	return m
}

// judgeSocket judges whether the right people may use the socket, and the caller
// is one of them.
func judgeSocket(e entry, usable bool, m membership, listens bool) Finding {
	const check = "socket"
	denied := func(text string) Finding { return found(groupFiles, check, Error, "%s", text) }
	switch perm := e.mode.Perm(); {
	case errors.Is(e.err, fs.ErrNotExist) && m.exists && !m.root && !m.listed:
		return found(groupFiles, check, Note, "%s is not there, as no agent runs; once one does, %s may not use it, as only members of the group %s may", e.path, m.user, serviceGroup).
			do("then log in again").typing("sudo usermod -aG %s %s", serviceGroup, m.user)
	case errors.Is(e.err, fs.ErrNotExist):
		return found(groupFiles, check, Note, "%s is not there, as no agent runs", e.path)
	case errors.Is(e.err, fs.ErrPermission):
		return denied(e.path + " is in a directory that this user may not enter").typing("sudo edgeraft doctor")
	case e.err != nil:
		return denied(e.err.Error())
	case e.mode.Type() != fs.ModeSocket:
		return denied(e.path + " is no socket, so no agent can listen there").do("delete it, or correct socket")
	case perm&0o007 != 0:
		return denied(e.path+" may be used by everybody on this device (mode "+strconv.FormatUint(uint64(perm), 8)+")").typing("sudo chmod o= %s", e.path)
	case usable && listens:
		return found(groupFiles, check, OK, "%s has mode %04o, and %s may use it", e.path, perm, m.user)
	case usable:
		return found(groupFiles, check, Note, "%s was left behind: nobody listens there", e.path).do("the agent removes it when it starts")
	case m.exists && m.effective || !m.exists || e.gid != m.gid:
		return denied(m.user + " may not use " + e.path + ": it belongs to another user's agent").typing("sudo edgeraft doctor")
	case m.listed:
		return denied(m.user+" is in the group "+serviceGroup+", but this login session began before that, so "+e.path+" may not be used yet").
			do("log out and in again, or for this shell only:").typing("newgrp %s", serviceGroup)
	default:
		return denied(m.user+" is not in the group "+serviceGroup+", so "+e.path+" may not be used").
			do("then log in again").typing("sudo usermod -aG %s %s", serviceGroup, m.user)
	}
}
