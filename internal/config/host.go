package config

import (
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft"
)

// Where a packaged agent keeps its things. Its unit says so in the variables of
// systemd.exec(5); root, who administers it, goes by the same.
const (
	systemDataDir    = "/var/lib/edgeraft"
	SystemSocket     = "/run/edgeraft/edgeraft.sock"
	systemKeyFile    = "/etc/edgeraft/cluster.key"
	systemConfigFile = "/etc/edgeraft/edgeraft.toml"
)

// Host is what the defaults depend on: who runs the program, and where.
type Host struct {
	Root bool
	Name string            // host name; may be empty
	Env  map[string]string // the environment
}

// ThisHost describes the machine and user the process runs as.
func ThisHost(env []string) Host {
	// Without a host name there is still a default for the label.
	name, _ := os.Hostname()
	return Host{Root: os.Geteuid() == 0, Name: name, Env: envMap(env)}
}

// envMap turns NAME=value lines into a map. As in the shell, the last of
// several lines with one name counts.
func envMap(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, line := range env {
		if name, value, ok := strings.Cut(line, "="); ok {
			m[name] = value
		}
	}
	return m
}

// defaultName makes a label of a host name: cut to the limit at a whole
// character, and without what can't be shown.
func defaultName(hostname string) string {
	name := strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, hostname)
	for len(name) > raft.MaxNameLen {
		_, size := utf8.DecodeLastRuneInString(name)
		name = name[:len(name)-size]
	}
	if name == "" {
		return "edgeraft"
	}
	return name
}

// given returns a directory that the service manager prepared for this process:
// of several the first. "" where there is none.
func (h Host) given(variable string) string {
	dir, _, _ := strings.Cut(h.Env[variable], ":")
	if !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// xdg returns the "edgeraft" directory below the base directory of the
// XDG Base Directory Specification that the variable names, or below
// fallback in the home directory. It is "" when there is neither. As that
// specification demands, a relative path counts as unset.
func (h Host) xdg(variable, fallback string) string {
	if dir := h.Env[variable]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "edgeraft")
	}
	if home := h.Env["HOME"]; fallback != "" && filepath.IsAbs(home) {
		return filepath.Join(home, fallback, "edgeraft")
	}
	return ""
}

func (h Host) dataDir() string {
	if dir := h.given("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if h.Root {
		return systemDataDir
	}
	return h.xdg("XDG_STATE_HOME", ".local/state")
}

func (h Host) socket() string {
	if dir := h.given("RUNTIME_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "edgeraft.sock")
	}
	if h.Root {
		return SystemSocket
	}
	if dir := h.xdg("XDG_RUNTIME_DIR", ""); dir != "" {
		return filepath.Join(dir, "edgeraft.sock")
	}
	return joinBelow(h.dataDir(), "run/edgeraft.sock")
}

func (h Host) keyFile() string {
	if dir := h.given("CONFIGURATION_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "cluster.key")
	}
	if h.Root {
		return systemKeyFile
	}
	return joinBelow(h.xdg("XDG_CONFIG_HOME", ".config"), "cluster.key")
}

// ConfigFile is where the configuration is looked for; "" where there is no such place.
func (h Host) ConfigFile() string {
	if dir := h.given("CONFIGURATION_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "edgeraft.toml")
	}
	if h.Root {
		return systemConfigFile
	}
	return joinBelow(h.xdg("XDG_CONFIG_HOME", ".config"), "edgeraft.toml")
}

// joinBelow is filepath.Join, except that below nothing there is nothing.
func joinBelow(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, name)
}
