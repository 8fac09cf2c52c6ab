package integration

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/powercut"
)

// fullDisks: of three voters two have no room.
func fullDisks(t *testing.T) []whyFault {
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		a := newAgent(t, net, i+1, append(peersOf(3), "EDGERAFT_LIMITS_LOG_BYTES=134217728")...)
		a.smallDisk(48 << 20)
		c.agents = append(c.agents, a)
	}
	c.form()
	leader := c.awaitLeader(c.agents)
	full := c.others(leader)
	var room []func()
	fill := func() {
		for _, a := range full {
			room = append(room, a.fillDisk())
		}
		for n := 0; ; n++ {
			_, err := leader.client.Put(t.Context(), fmt.Sprintf("key/%d", n%50), []byte(strings.Repeat("x", 60_000)), client.PutOptions{})
			if err != nil && full[0].lacksWarning("disk_full") == nil && full[1].lacksWarning("disk_full") == nil {
				return
			}
			if n > 1000 {
				t.Fatalf("put %d, with the disks of two full: %v", n, err)
			}
		}
	}
	return []whyFault{
		{"its disk is full, and another's", fill, full[0], "disk_full", []string{"The disk is full"}, "df -h ", nil, nil},
		{"the disks of a majority are full, and another is asked", nil, leader, "majority_full",
			[]string{"2 of 3 voters must have room", full[0].name() + " (", full[1].name() + " ("}, "df -h ", func(string) {
				for _, empty := range room {
					empty()
				}
				for _, a := range full {
					awaitWell(t, a, "with room again", "healthy: ")
				}
			}, nil},
	}
}

// stuckDisks: of three voters two have cards whose writes do not come back.
func stuckDisks(t *testing.T) []whyFault {
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	disks := map[*agent]*powercut.Disk{}
	for i := range 3 {
		a := newAgent(t, net, i+1, peersOf(3)...)
		disks[a] = a.fuseDisk()
		c.agents = append(c.agents, a)
	}
	c.form()
	leader := c.awaitLeader(c.agents)
	stuck := c.others(leader)
	stick := make(chan struct{})
	release := sync.OnceFunc(func() { close(stick) })
	t.Cleanup(release)
	return []whyFault{
		{"the disks of a majority are stuck, and another is asked", func() {
			for _, a := range stuck {
				disks[a].Slow(func() time.Duration { <-stick; return 0 })
			}
			net.Start(leader.i, lab.Command{Name: "a write", Args: append(program, "put", "k", "v"), Env: leader.env})
		}, leader, "no_leader", []string{"No leader is known, though ", " of 3 voters are heard", "disks are stuck"}, "edgeraft why   (on each of the others)", nil, nil},
		{"the disk is stuck", nil, stuck[0], "disk_stuck", []string{"The disk of this device is stuck: one write has lasted "}, "dmesg", func(string) {
			release()
			for _, a := range c.agents {
				awaitWell(t, a, "with disks that go on", "healthy: ")
			}
		}, nil},
	}
}
