package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
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

// stuckDisk: a write to a card does not come back.
func stuckDisk(t *testing.T) []whyFault {
	net := lab.New(t, 1)
	a := newAgent(t, net, 1)
	disk := a.fuseDisk()
	formOf(t, a)
	release := make(chan struct{})
	t.Cleanup(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	})
	return []whyFault{
		{"the disk is stuck", func() {
			disk.Slow(func() time.Duration { <-release; return 0 })
			a.net.Start(a.i, lab.Command{Name: "a write", Args: append(program, "put", "k", "v"), Env: a.env})
		}, a, "disk_stuck", []string{"The disk of this device is stuck: one write has lasted "}, "dmesg", func(string) { close(release) }, nil},
	}
}
