package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

// verdict is the JSON of log verify.
type verdict struct {
	Sound     bool          `json:"sound"`
	Error     string        `json:"error,omitempty"`
	Notes     []string      `json:"notes"`
	Path      string        `json:"path"`
	FileBytes uint64        `json:"file_bytes"`
	Format    int           `json:"format"`
	Device    dumpedDevice  `json:"device"`
	State     dumpedState   `json:"state"`
	Snapshot  *dumpedHead   `json:"snapshot,omitempty"`
	Entries   int           `json:"entries"`
	First     uint64        `json:"first,omitempty"`
	Last      uint64        `json:"last,omitempty"`
	Chunks    int           `json:"chunks"`
	Ring      verdictOnRing `json:"ring"`
}

type verdictOnRing struct {
	Epoch   uint64 `json:"epoch"`
	Sectors int    `json:"sectors"`
	InUse   int    `json:"in_use"`
}

type dumpedDevice struct {
	ID       string        `json:"id"`
	Cluster  string        `json:"cluster"`
	Boot     uint64        `json:"boot"`
	Replaces []raft.NodeID `json:"replaces,omitempty"` // who it was before it lost its storage
}

type dumpedState struct {
	ClusterID string `json:"cluster_id,omitempty"`
	Term      uint64 `json:"term"`
	Vote      string `json:"vote,omitempty"`
	Commit    uint64 `json:"commit"` // at least
}

type dumpedHead struct {
	Index   uint64         `json:"index"`
	Term    uint64         `json:"term"`
	TimeMS  uint64         `json:"time_ms"`
	Bytes   int            `json:"bytes"`
	Members []dumpedMember `json:"members,omitempty"`
}

type dumpedMember struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"`
}

// dumpedEntry is one line of log dump --json. Of a command that the key/value
// store cannot read, Op is "unknown" and the bytes are those of all of it.
type dumpedEntry struct {
	Index  uint64 `json:"index"`
	Term   uint64 `json:"term"`
	Kind   string `json:"kind"` // no-op, command, config
	TimeMS uint64 `json:"time_ms"`
	ID     uint64 `json:"proposal_id,omitempty"`
	Size   int    `json:"bytes"` // of the command, as stored
	Op     string `json:"op,omitempty"`
	Key    string `json:"key,omitempty"`
	api.Bytes
	Text           string         `json:"text,omitempty"`
	IdempotencyKey *api.Bytes     `json:"idempotency_key,omitempty"`
	Members        []dumpedMember `json:"members,omitempty"`
}

func verdictOf(in boltlog.Inspection, err error) verdict {
	v := verdict{
		Sound: err == nil, Notes: append([]string{}, in.Notes...), Path: in.Path, FileBytes: in.FileBytes, Format: in.Format,
		Device: deviceOf(in), State: stateOf(in.Stored.State), Snapshot: headOf(in.Stored.Snapshot),
		Entries: len(in.Stored.Entries), Chunks: in.Chunks,
		Ring: verdictOnRing{Epoch: in.Epoch, Sectors: in.RingSlots, InUse: in.RingUsed},
	}
	if err != nil {
		v.Error = err.Error()
	}
	if es := in.Stored.Entries; len(es) > 0 {
		v.First, v.Last = uint64(es[0].Index), uint64(es[len(es)-1].Index)
	}
	return v
}

func deviceOf(in boltlog.Inspection) dumpedDevice {
	return dumpedDevice{ID: string(in.Identity.ID), Cluster: in.Identity.Cluster, Boot: in.Identity.Boot, Replaces: in.Identity.Replaces}
}

func stateOf(s raft.HardState) dumpedState {
	d := dumpedState{Term: uint64(s.Term), Vote: string(s.Vote), Commit: uint64(s.Commit)}
	if !s.Cluster.IsZero() {
		d.ClusterID = s.Cluster.String()
	}
	return d
}

func headOf(s *raft.Snapshot) *dumpedHead {
	if s == nil {
		return nil
	}
	return &dumpedHead{Index: uint64(s.Index), Term: uint64(s.Term), TimeMS: uint64(s.Time), Bytes: len(s.Data), Members: membersOf(s.Config)}
}

func membersOf(c *raft.Configuration) []dumpedMember {
	if c == nil {
		return nil
	}
	var out []dumpedMember
	for _, m := range c.Members {
		out = append(out, dumpedMember{ID: string(m.ID), Name: m.Name, Role: m.Role.String()})
	}
	return out
}

func entryOf(e raft.Entry) dumpedEntry {
	d := dumpedEntry{
		Index: uint64(e.Index), Term: uint64(e.Term), Kind: fmt.Sprintf("kind %d", e.Kind),
		TimeMS: uint64(e.Time), ID: uint64(e.ID), Size: len(e.Data), Members: membersOf(e.Config),
	}
	switch e.Kind {
	case raft.EntryNoOp:
		d.Kind = "no-op"
	case raft.EntryConfig:
		d.Kind = "config"
	case raft.EntryCommand:
		d.Kind = "command"
		d.describe(e.Data)
	}
	return d
}

// describe fills in what a command does, as the agent's own App reads it.
func (d *dumpedEntry) describe(stored []byte) {
	if text, ok := restore.Describe(stored); ok {
		d.Op, d.Text = "restore", text
		return
	}
	inner, key := once.Unwrap(stored)
	if key != nil {
		b := api.BytesOf(key)
		d.IdempotencyKey = &b
	}
	c, ok := kv.Describe(inner)
	if !ok {
		c = kv.Description{Op: "unknown", Value: stored}
	}
	d.Op, d.Key, d.Text = c.Op, c.Key, c.Text
	if c.Op == "put" || c.Value != nil {
		d.Bytes = api.BytesOf(c.Value)
	}
}

// dumpJSON prints a line for each thing.
func (inv *invocation) dumpJSON(in boltlog.Inspection, span dumpSpan) error {
	err := inv.sayJSON(map[string]any{"device": deviceOf(in)})
	err = errors.Join(err, inv.sayJSON(map[string]any{"state": stateOf(in.Stored.State)}))
	if head := headOf(in.Stored.Snapshot); head != nil {
		err = errors.Join(err, inv.sayJSON(map[string]any{"snapshot": head}))
	}
	for _, e := range span.of(in.Stored.Entries) {
		if err != nil || inv.stdout.err != nil {
			break
		}
		err = inv.sayJSON(map[string]any{"entry": entryOf(e)})
	}
	return err
}

// dump prints the same for people.
func (inv *invocation) dump(in boltlog.Inspection, span dumpSpan) {
	inv.say("Device    %s of the cluster %s, started %d times", in.Identity.ID, show.Printable(in.Identity.Cluster), in.Identity.Boot)
	inv.say("State     %s", stateLine(in.Stored.State))
	inv.say("Snapshot  %s", snapshotLine(in.Stored.Snapshot))
	inv.say("%10s %6s  %-8s %14s %16s %8s  %s", "INDEX", "TERM", "KIND", "TIME", "ID", "BYTES", "CONTENT")
	for _, e := range span.of(in.Stored.Entries) {
		if inv.stdout.err != nil {
			return
		}
		at := time.Duration(min(e.Time, raft.Time(1<<62/time.Millisecond))) * time.Millisecond
		d := entryOf(e)
		inv.say("%10d %6d  %-8s %14s %16x %8d  %s", d.Index, d.Term, d.Kind, at, d.ID, d.Size, d.content())
	}
}

// of returns the entries whose indexes are wanted.
func (s dumpSpan) of(entries []raft.Entry) []raft.Entry {
	var out []raft.Entry
	for _, e := range entries {
		if e.Index >= s.from && e.Index <= s.to {
			out = append(out, e)
		}
	}
	return out
}

// maxShown is how many bytes of a command people are shown; --json has all.
const maxShown = 120

// content is what an entry says, in one line.
func (d *dumpedEntry) content() string {
	var words []string
	for _, m := range d.Members {
		words = append(words, fmt.Sprintf("%s (%s) %s", show.Printable(m.Name), show.Printable(show.ShortID(m.ID)), show.Printable(m.Role)))
	}
	if len(words) > 0 {
		return strings.Join(words, ", ")
	}
	if d.Op != "command" {
		words = append(words, d.Op)
	}
	if d.Key != "" {
		words = append(words, show.Printable(d.Key))
	}
	if d.Text != "" {
		words = append(words, d.Text)
	}
	if data, err := d.Data(); err == nil {
		words = append(words, excerpt(data))
	}
	return strings.Join(words, " ")
}

// excerpt is the start of a text, or how much there is of anything else.
func excerpt(data []byte) string {
	if !utf8.Valid(data) {
		return fmt.Sprintf("(%d bytes that are no text)", len(data))
	}
	text, more := string(data), ""
	if len(text) > maxShown {
		cut := maxShown
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text, more = text[:cut], "..."
	}
	return show.Printable(text) + more
}
