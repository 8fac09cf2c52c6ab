package house

import (
	"strings"
	"testing"
)

func TestHouse(t *testing.T) {
	sources, err := load()
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < 20 {
		t.Fatalf("only %d files were found below %s", len(sources), root)
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, complaint := range r.check(sources) {
				t.Error(complaint)
			}
		})
	}
	for _, complaint := range checkTable(mayImport) {
		t.Error(complaint)
	}
}

// TestRulesComplain feeds every rule something bad and something good: a rule
// that never complains holds nothing.
func TestRulesComplain(t *testing.T) {
	long := func(name string, lines int) string {
		return "package p\nfunc " + name + "() {\n" + strings.Repeat("\t_ = 1\n", lines) + "}\n"
	}
	for _, c := range []struct {
		rule string
		file string // with its directory
		text string
		want string // part of the only complaint; "" for none
	}{
		{"imports", "newroom/a.go", "package newroom", "package newroom is not in the table"},
		{"imports", "app/client/a.go", `package client; import "` + module + `/raft"`, "may not import"},
		{"imports", "app/client/a.go", `package client; import "` + module + `/app/api"`, ""},
		{"imports", "boltlog/a.go", `package boltlog; import "` + module + `/udpcomms"`, "may not import"},
		{"imports", "udpcomms/a.go", `package udpcomms; import "` + module + `/raft/server"`, "may not import"},
		{"imports", "udpcomms/a_test.go", `package udpcomms; import "` + module + `/raft/server"`, ""},
		{"imports", "internal/agent/a.go", `package agent; import "` + module + `/raft/server"`, ""},
		{"imports", "cmd/edgeraft/a.go", `package main; import "` + module + `/raft/server"`, "may not import"},
		{"imports", "boltlog/a.go", `package boltlog; import "github.com/fxamacker/cbor/v2"`, "may not import"},
		{"imports", "boltlog/a_test.go", `package boltlog; import "github.com/fxamacker/cbor/v2"`, "may not import"},
		{"imports", "raft/wire/a.go", `package wire; import "github.com/fxamacker/cbor/v2"`, ""},
		{"imports", "boltlog/a.go", `package boltlog; import "go.etcd.io/bbolt/errors"`, ""},
		{"imports", "boltlog/a.go", `package boltlog; import "go.etcd.io/bboltx"`, "may not import"},
		{"imports", "discovery/a_test.go", `package discovery; import "go.uber.org/goleak"`, ""},
		{"imports", "discovery/a.go", `package discovery; import "go.uber.org/goleak"`, "may not import"},
		{"imports", "mqttcomms/a.go", `package mqttcomms; import "` + module + `/udpcomms"`, "may not import"},
		{"imports", "mqttcomms/a.go", `package mqttcomms; import "github.com/mochi-mqtt/server/v2"`, "may not import"},
		{"imports", "mqttcomms/a_test.go", `package mqttcomms; import "github.com/mochi-mqtt/server/v2"`, ""},
		{"imports", "internal/paths/a.go", `package paths; import "` + module + `/mqttcomms"`, "may not import"},
		{"imports", "raft/a.go", `package raft; import "time"`, "may not import time"},
		{"imports", "raft/a.go", `package raft; import "sync/atomic"`, "may not import sync/atomic"},
		{"imports", "raft/a.go", `package raft; import "log/slog"`, "may not import log/slog"},
		{"imports", "raft/a.go", `package raft; import "math/rand/v2"`, "may not import math/rand/v2"},
		{"imports", "raft/a.go", `package raft; import "slices"`, ""},
		{"imports", "raft/a_test.go", `package raft; import "time"`, ""},

		{"core is pure", "raft/a.go", "package raft\nfunc f() { go f() }", "a goroutine"},
		{"core is pure", "raft/a.go", "package raft\nvar f float32", "floating point"},
		{"core is pure", "raft/a.go", "package raft\nvar f = 0.5", "floating point"},
		{"core is pure", "raft/a.go", "package raft\nvar f = 1 // go 0.5", ""},
		{"core is pure", "raft/a_test.go", "package raft\nvar f = 0.5", ""},
		{"core is pure", "raft/server/a.go", "package server\nfunc f() { go f() }", ""},

		{"package comments", "app/a.go", "package app", `no comment that begins with "Package app "`},
		{"package comments", "app/a.go", "// Package other is misnamed.\npackage app", `"Package app "`},
		{"package comments", "app/a.go", "// Package app is.\n\npackage app", `"Package app "`},
		{"package comments", "app/a.go", "// Package app is.\npackage app", ""},
		{"package comments", "cmd/edgeraft/a.go", "package main", "no comment"},
		{"package comments", "cmd/edgeraft/a.go", "// Edgeraft is.\npackage main", ""},

		{"length", "app/a.go", long("f", maxFunctionLines-1), "function f has 71 lines"},
		{"length", "app/a.go", long("f", maxFunctionLines-2), ""},
		{"length", "app/a.go", "package app\n" + strings.Repeat("//\n", maxFileLines), "the file has 401 lines"},
		{"length", "app/a.go", "package app\n" + strings.Repeat("//\n", maxFileLines-1), ""},
		{"length", "app/a_test.go", long("f", maxFileLines), ""},

		{"no sleep", "app/a.go", "package app\nimport \"time\"\nfunc f() { time.Sleep(1) }", "time.Sleep"},
		{"no sleep", "app/a_test.go", "package app\nimport t \"time\"\nvar f = t.Sleep", "time.Sleep"},
		{"no sleep", "app/a.go", "package app\nimport \"time\"\nfunc f() { time.After(1); x.Sleep() }", ""},

		{"nothing left for later", "app/a.go", "package app\n// TO" + "DO: more", "do it"},
		{"nothing left for later", "app/a.go", "package app\nvar x = 1 /* FIX" + "ME */", "do it"},
		{"nothing left for later", "app/a.go", "package app\nvar x = \"TO" + "DO\" // todo list", ""},
	} {
		dir, name := c.file[:strings.LastIndex(c.file, "/")], c.file[strings.LastIndex(c.file, "/")+1:]
		s, err := newSource(dir, name, []byte(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		got := named(t, c.rule).check([]source{s})
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s complains about %s %.60q: %q", c.rule, c.file, c.text, got)
		case c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)):
			t.Errorf("%s says about %s %.60q: %q, want %q", c.rule, c.file, c.text, got, c.want)
		}
	}
}

func named(t *testing.T, name string) rule {
	for _, r := range rules {
		if r.name == name {
			return r
		}
	}
	t.Fatalf("no rule %q", name)
	return rule{}
}

func TestTableComplains(t *testing.T) {
	bad := map[string]row{
		"a": {modules: []string{"go.etcd.io/bbolt"}},
		"b": {ours: []string{"raft/server"}},
		"c": {ours: []string{"*"}},
	}
	seen := make(map[string]bool)
	for _, complaint := range checkTable(bad) {
		seen[strings.Fields(complaint)[3]] = true
	}
	if len(seen) != len(bad) {
		t.Errorf("complaints only about %v", seen)
	}
}
