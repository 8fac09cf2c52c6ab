package house

import (
	"slices"
	"strings"
)

// row says what the files of a package, tests apart, may import.
type row struct {
	ours    []string // packages of this module; "*" for all
	modules []string // third-party modules
	tests   []string // third-party modules that only the package's tests may import
	notStd  []string // packages of the standard library that are out of bounds, with all below them
}

// mayImport has every package of the module. The order of the rooms is in
// ARCHITECTURE.md: adapters (boltlog, udpcomms, mqttcomms, discovery) know neither each
// other nor the driver raft/server, which only the agent and the example wire up.
var mayImport = map[string]row{
	"app":           {ours: []string{"app/api", "app/backup", "app/kv", "app/once", "app/restore", "raft"}},
	"app/api":       {},
	"app/backup":    {},
	"app/client":    {ours: []string{"app/api"}},
	"app/kv":        {ours: []string{"raft", "raft/wire"}},
	"app/kv/kvtest": {ours: []string{"app/kv", "raft"}, modules: []string{"github.com/anishathalye/porcupine"}}, // for tests only
	"app/once":      {ours: []string{"raft"}},
	"app/restore":   {ours: []string{"raft"}},
	"boltlog":       {ours: []string{"raft", "raft/wire"}, modules: []string{"go.etcd.io/bbolt", "golang.org/x/sys"}},
	"cmd/edgeraft": {ours: []string{
		"app/api", "app/backup", "app/client", "app/kv", "app/once", "app/restore", "boltlog", "discovery",
		"internal/agent", "internal/release", "internal/card", "internal/config", "internal/doctor", "internal/seal", "internal/show", "internal/why", "raft",
	}, modules: []string{"golang.org/x/sys"}},
	"discovery":                  {ours: []string{"raft"}, modules: []string{"github.com/grandcat/zeroconf", "github.com/miekg/dns"}},
	"examples/bankteller":        {ours: []string{"*"}},
	"examples/bankteller/client": {ours: []string{"app/api", "app/client"}},
	"examples/bankteller/teller": {ours: []string{"raft"}},
	"integration":                {modules: []string{"github.com/miekg/dns", "go.etcd.io/bbolt"}}, // tests only
	"integration/lab":            {ours: []string{"internal/need"}},
	"integration/systemd":        {},                                                                // tests only
	"internal/compare":           {ours: []string{"raft"}, modules: []string{"go.etcd.io/raft/v3"}}, // a module of its own
	"internal/card":              {modules: []string{"golang.org/x/sys"}},
	"internal/compare/storage": {modules: []string{ // tests only; a module of its own
		"github.com/hashicorp", "go.etcd.io/etcd/server/v3", "go.etcd.io/raft/v3", "go.uber.org/zap", "golang.org/x/sys",
	}},
	"internal/agent":   {ours: []string{"*"}, modules: []string{"github.com/coreos/go-systemd/v22", "golang.org/x/sys"}},
	"internal/release": {},
	"internal/config":  {ours: []string{"internal/show", "mqttcomms", "raft", "raft/server"}, modules: []string{"github.com/BurntSushi/toml"}},
	"internal/show":    {},
	"internal/traffic": {},
	// It looks through the adapters' own eyes, and wires nothing.
	"internal/doctor":   {ours: []string{"app/api", "discovery", "internal/card", "internal/show", "mqttcomms", "raft", "udpcomms"}, modules: []string{"golang.org/x/sys"}},
	"internal/house":    {},
	"internal/need":     {},                                                  // for tests only
	"internal/powercut": {modules: []string{"github.com/hanwen/go-fuse/v2"}}, // for tests only
	"internal/paths":    {ours: []string{"raft"}},
	"internal/seal":     {ours: []string{"raft"}, modules: []string{"golang.org/x/crypto"}},
	"mqttcomms": {ours: []string{"internal/seal", "internal/traffic", "raft", "raft/wire"}, modules: []string{"github.com/eclipse/paho.golang"},
		tests: []string{"github.com/mochi-mqtt/server/v2"}},
	"internal/why": {ours: []string{"app/api", "internal/show"}},
	"raft": {notStd: []string{
		"context", "crypto/rand", "io", "log", "math/rand", "net", "os", "sync", "syscall", "time",
	}},
	"raft/rafttest": {ours: []string{"app/kv", "app/kv/kvtest", "app/once", "raft"}}, // for tests only
	"raft/server":   {ours: []string{"raft"}},
	"raft/wire":     {ours: []string{"raft"}, modules: []string{"github.com/fxamacker/cbor/v2"}},
	"udpcomms":      {ours: []string{"internal/seal", "internal/traffic", "raft", "raft/wire"}, modules: []string{"golang.org/x/sys"}},
}

// testModules may be imported by every test, beside what its package may. A
// test may also import every package of this module.
var testModules = []string{"go.uber.org/goleak", "github.com/anishathalye/porcupine"}

// soleImporters keeps the table honest: who alone may have a row with this.
var soleImporters = map[string][]string{
	"github.com/fxamacker/cbor/v2":    {"raft/wire"},
	"go.etcd.io/raft/v3":              {"internal/compare", "internal/compare/storage"},
	"go.etcd.io/bbolt":                {"boltlog", "integration"},
	"github.com/grandcat/zeroconf":    {"discovery"},
	"github.com/miekg/dns":            {"discovery", "integration"},
	"raft/server":                     {"internal/agent", "internal/config", "examples/bankteller"},
	"boltlog":                         {"cmd/edgeraft", "internal/agent", "examples/bankteller"},
	"udpcomms":                        {"internal/agent", "internal/doctor", "examples/bankteller"},
	"mqttcomms":                       {"internal/agent", "internal/config", "internal/doctor", "examples/bankteller"},
	"internal/paths":                  {"internal/agent", "examples/bankteller"},
	"github.com/eclipse/paho.golang":  {"mqttcomms"},
	"github.com/mochi-mqtt/server/v2": {}, // no product code at all
	"discovery":                       {"cmd/edgeraft", "internal/agent", "internal/doctor", "examples/bankteller"},
}

func (r row) allows(i imported, test bool) bool {
	switch {
	case i.std:
		return test || !within(i.path, r.notStd)
	case i.below != "":
		return test || slices.Contains(r.ours, "*") || slices.Contains(r.ours, i.below)
	}
	return within(i.path, r.modules) || test && (within(i.path, testModules) || within(i.path, r.tests))
}

// within reports whether path is one of roots, or lies below one.
func within(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(r string) bool {
		return path == r || strings.HasPrefix(path, r+"/")
	})
}

// checkImports holds the table.
func checkImports(sources []source) []string {
	var out []string
	missing := make(map[string]bool)
	for _, s := range sources {
		r, ok := mayImport[s.dir]
		if !ok {
			if !missing[s.dir] {
				out = append(out, s.at(s.file, "package %s is not in the table mayImport of internal/house: add it, with what it may import", s.dir))
			}
			missing[s.dir] = true
			continue
		}
		for _, i := range s.imports() {
			if !r.allows(i, s.test) {
				out = append(out, s.at(i.spec, "package %s may not import %s (table mayImport of internal/house)", s.dir, i.path))
			}
		}
	}
	return out
}

// checkTable holds soleImporters in a table.
func checkTable(table map[string]row) []string {
	var out []string
	for dir, r := range table {
		for what, who := range soleImporters {
			all := slices.Contains(r.ours, "*") && !strings.Contains(what, ".")
			if (all || slices.Contains(r.ours, what) || slices.Contains(r.modules, what)) && !slices.Contains(who, dir) {
				out = append(out, "the table lets "+dir+" import "+what+", which only "+strings.Join(who, ", ")+" may")
			}
		}
	}
	return out
}
