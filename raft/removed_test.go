package raft

import "testing"

// A device that restarts before it has got as far in the log as the entry that
// admits it is catching up. It does not take itself for removed.
func TestCatchingUpIsNotRemoved(t *testing.T) {
	conf := &Configuration{}
	conf = conf.with(Member{ID: idB, Role: Voter})
	admitted := conf.with(Member{ID: idA, Role: Learner})
	stored := func(confs ...*Configuration) Stored {
		s := Stored{State: HardState{Cluster: oldCluster, Term: 1, Commit: Index(len(confs))}}
		for i, c := range confs {
			s.Entries = append(s.Entries, Entry{Index: Index(i + 1), Term: 1, Kind: EntryConfig, Config: c})
		}
		return s
	}
	behind := stored(conf)
	behind.Snapshot = &Snapshot{Index: 1, Term: 1, ConfigIndex: 1, Config: conf}
	behind.Entries = nil
	for name, tt := range map[string]struct {
		from Stored
		want bool
	}{
		"not yet admitted":     {stored(conf), false},
		"admitted":             {stored(conf, admitted), false},
		"admitted and removed": {stored(conf, admitted, conf), true},
		"nobody knows what was before the snapshot": {behind, true},
	} {
		c, err := New(Config{ID: idA, ElectionTicks: 10, HeartbeatTicks: 2, Random: func(int) int { return 0 }}, tt.from)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Status().Removed; got != tt.want {
			t.Errorf("%s: removed is %v, want %v", name, got, tt.want)
		}
	}
}
