package main

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
	systemSocket     = "/run/edgeraft/edgeraft.sock"
	systemKeyFile    = "/etc/edgeraft/cluster.key"
	systemConfigFile = "/etc/edgeraft/edgeraft.toml"
)

// host is what the defaults depend on: who runs the program, and where.
type host struct {
	root bool
	name string            // host name; may be empty
	env  map[string]string // the environment
}

// thisHost describes the machine and user the process runs as.
func thisHost(env []string) host {
	// Without a host name there is still a default for the label.
	name, _ := os.Hostname()
	return host{root: os.Geteuid() == 0, name: name, env: envMap(env)}
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
func (h host) given(variable string) string {
	dir, _, _ := strings.Cut(h.env[variable], ":")
	if !filepath.IsAbs(dir) {
		return ""
	}
	return dir
}

// xdg returns the "edgeraft" directory below the base directory of the
// XDG Base Directory Specification that the variable names, or below
// fallback in the home directory. It is "" when there is neither. As that
// specification demands, a relative path counts as unset.
func (h host) xdg(variable, fallback string) string {
	if dir := h.env[variable]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "edgeraft")
	}
	if home := h.env["HOME"]; fallback != "" && filepath.IsAbs(home) {
		return filepath.Join(home, fallback, "edgeraft")
	}
	return ""
}

func (h host) dataDir() string {
	if dir := h.given("STATE_DIRECTORY"); dir != "" {
		return dir
	}
	if h.root {
		return systemDataDir
	}
	return h.xdg("XDG_STATE_HOME", ".local/state")
}

func (h host) socket() string {
	if dir := h.given("RUNTIME_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "edgeraft.sock")
	}
	if h.root {
		return systemSocket
	}
	if dir := h.xdg("XDG_RUNTIME_DIR", ""); dir != "" {
		return filepath.Join(dir, "edgeraft.sock")
	}
	return joinBelow(h.dataDir(), "run/edgeraft.sock")
}

func (h host) keyFile() string {
	if dir := h.given("CONFIGURATION_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "cluster.key")
	}
	if h.root {
		return systemKeyFile
	}
	return joinBelow(h.xdg("XDG_CONFIG_HOME", ".config"), "cluster.key")
}

func (h host) configFile() string {
	if dir := h.given("CONFIGURATION_DIRECTORY"); dir != "" {
		return filepath.Join(dir, "edgeraft.toml")
	}
	if h.root {
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
