package doctor

import (
	"path/filepath"
	"strings"
)

// mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	point, kind, source string
	device              string   // major:minor
	options             []string // of the mount and of the file system
}

// mountOf finds the mount that holds a path, which must be absolute and free of
// symbolic links.
func mountOf(mountinfo, path string) (m mount, ok bool) {
	for line := range strings.Lines(mountinfo) {
		before, after, whole := strings.Cut(strings.TrimSpace(line), " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !whole || len(f) < 6 || len(g) < 3 {
			continue
		}
		point := unescape(f[4])
		inside := point == "/" || path == point || strings.HasPrefix(path, point+"/")
		// Of several on one point the last is on top.
		if !inside || len(point) < len(m.point) {
			continue
		}
		m, ok = mount{point: point, kind: g[0], source: unescape(g[1]), device: f[2],
			options: append(strings.Split(f[5], ","), strings.Split(g[2], ",")...)}, true
	}
	return m, ok
}

// unescape undoes how the kernel writes spaces and their like.
func unescape(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// option returns the value of an option that has one, and whether there is one.
func (m mount) option(name string) (string, bool) {
	for _, o := range m.options {
		if key, value, _ := strings.Cut(o, "="); key == name {
			return value, true
		}
	}
	return "", false
}

// nearest is the directory, or the nearest one above it that exists, without
// symbolic links.
func nearest(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	for {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return real
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}
