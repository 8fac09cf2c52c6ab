package rafttest

// Faults that follow each other at random rarely meet in the order that a
// subtle bug needs. The hunts are short stories of faults in such an order,
// with chance in every detail, woven into the random mixture.

// suspension stops the leader, alone or with some of its followers, for long
// enough that the others elect another. When it goes on, before anything
// reaches it, it believes that it leads: clients ask it at once.
func (c *campaign) suspension(lead *Node) {
	ticks := 2*ElectionTicks + c.rng.Intn(4*ElectionTicks)
	c.tracef("%v is suspended for %d ticks, and then asked", lead, ticks)
	lead.Pause(ticks)
	if c.rng.Chance(700) {
		c.splitOff(lead)
	}
	c.After(ticks, func() { // planned before anything that is to reach it then
		if c.ending {
			return
		}
		if r := c.Read(lead.Index); r != nil {
			c.reads = append(c.reads, r)
		}
		c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, c.rng.Intn(200))))
	})
	c.After(ticks+c.rng.Intn(ElectionTicks), c.mend)
}

// splitOff parts the leader from a majority, and leaves it learners and some
// voters.
func (c *campaign) splitOff(lead *Node) {
	if !lead.Up() {
		return
	}
	conf := lead.Status().Config
	spare := conf.Voters() - conf.Quorum() // so many may be on its side, itself among them
	var with, without []int
	for _, i := range c.shuffled() {
		n := c.Nodes[i]
		switch voter := conf.IsVoter(n.ID); {
		case n == lead:
			with, spare = append(with, i), spare-1
		case voter && (spare <= 0 || c.rng.Chance(500)):
			without = append(without, i)
		case voter:
			with, spare = append(with, i), spare-1
		case c.rng.Chance(700):
			with = append(with, i)
		default:
			without = append(without, i)
		}
	}
	c.tracef("partition %v | %v, where %v was the leader of all", with, without, lead)
	c.Net.Partition(len(c.Nodes), with, without)
}

// shuffled returns the numbers of all nodes in a random order.
func (c *campaign) shuffled() []int {
	order := make([]int, len(c.Nodes))
	for i := range order {
		j := c.rng.Intn(i + 1)
		order[i] = order[j]
		order[j] = i
	}
	return order
}

// chase splits off one leader after the other, each with proposals that only
// its side gets, and brings the earlier ones back at the same moment: logs of
// several terms compete, each longer than another that is newer (thesis fig.
// 3.7 and §3.6.1).
func (c *campaign) chase(rounds int) {
	lead := c.Leader()
	if c.ending || rounds == 0 || lead == nil {
		c.mend()
		return
	}
	for range c.rng.Intn(4) {
		c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, c.rng.Intn(50))))
	}
	if c.rng.Chance(200) { // messages of one term come in another
		c.Net.Late, c.Net.MaxLate = 300, lateTicks*Tick
	}
	c.After(c.rng.Intn(3), func() {
		if c.ending {
			return
		}
		if c.rng.Chance(300) {
			lead.Crash()
			c.After(c.rng.Intn(4*ElectionTicks), lead.Start)
		} else {
			c.splitOff(lead)
		}
		for range c.rng.Intn(8) {
			c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, c.rng.Intn(50))))
		}
		c.awaitOther(lead, func() { c.chase(rounds - 1) })
	})
}

// laggard splits off a leader with proposals that only it has, and lets it come
// back to others that need their logs no more. Its disk hangs all the while, or
// from when it has learned of its successor: a snapshot takes the place of a log
// that is not saved, and is not saved itself when the next one is due.
func (c *campaign) laggard(lead *Node) {
	early := c.rng.Chance(500)
	if early {
		lead.Disk.Stick()
	}
	if c.rng.Chance(700) {
		c.splitOff(lead)
	} else {
		c.Net.Isolate(len(c.Nodes), lead.Index)
	}
	for range 1 + c.rng.Intn(8) {
		c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, c.rng.Intn(100))))
	}
	away := 2*ElectionTicks + c.rng.Intn(4*ElectionTicks)
	c.After(away, func() {
		if c.profile.snapshots && !c.ending {
			for i := range c.Nodes {
				c.TakeSnapshot(i)
			}
		}
		c.mend()
	})
	if !early {
		c.After(away+c.rng.Intn(3*HeartbeatTicks), func() {
			if !c.ending {
				lead.Disk.Stick()
			}
		})
	}
	back := 3*HeartbeatTicks + c.rng.Intn(4*ElectionTicks)
	c.After(away+back, func() {
		if !c.ending { // or a trial may have stuck it again
			lead.Disk.Unstick()
		}
	})
	for range 3 {
		c.After(away+c.rng.Intn(back+1), func() {
			if c.profile.snapshots && !c.ending {
				c.clientStep()
				c.TakeSnapshot(lead.Index)
			}
		})
	}
}

// reboot restarts a device with a question and a proposal under way, and has it
// ask and propose anew: answers that were meant for it before arrive now.
func (c *campaign) reboot(n *Node) {
	ask := func() {
		if r := c.Read(n.Index); r != nil {
			c.reads = append(c.reads, r)
		}
		c.ops = append(c.ops, c.Propose(n.Index, make([]byte, c.rng.Intn(200))))
	}
	if c.rng.Chance(500) {
		n.Crash() // so that its numbers begin anew
		n.Start()
	}
	c.After(c.rng.Intn(4*ElectionTicks), func() {
		if c.ending {
			return
		}
		if lead := c.Leader(); lead != nil {
			for range c.rng.Intn(13) { // it may be too much for the leader
				c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, 200)))
			}
		}
		if c.rng.Chance(700) {
			c.Net.Late, c.Net.MaxLate = 500, 6*Tick
		}
		ask()
		c.clock.after(c.rng.Between(0, Tick), func() {
			n.Crash()
			n.Start()
			c.clock.after(c.rng.Between(0, 4*Tick), ask)
			c.After(8, c.mend)
		})
	})
}

// forget has one follower hold what the leader loses: sent while its own disk
// hung, and acknowledged so late that it may lead again by then.
func (c *campaign) forget(lead *Node) {
	conf := lead.Status().Config
	keeper := c.Nodes[c.rng.Intn(len(c.Nodes))]
	if keeper == lead || conf.Voters() < 3 {
		return
	}
	c.tracef("%v is to forget what %v holds", lead, keeper)
	lead.Disk.Stick()
	c.cut(lead, false, true)
	delete(c.Net.cut, link{lead.Index, keeper.Index})
	for range 1 + c.rng.Intn(3) {
		c.ops = append(c.ops, c.Propose(lead.Index, make([]byte, c.rng.Intn(50))))
	}
	c.clock.after(Tick/4, func() {
		if !c.ending {
			c.Net.Late, c.Net.MaxLate = 1000, lateTicks*Tick
		}
	})
	c.After(1, func() {
		lead.Crash()
		lead.Disk.Unstick()
		lead.Start()
		c.mend()
		if !c.ending {
			c.Net.Isolate(len(c.Nodes), keeper.Index)
		}
	})
}

// awaitOther goes on soon after another than old leads, or when that takes too
// long.
func (c *campaign) awaitOther(old *Node, then func()) {
	tries := 6 * ElectionTicks
	var look func()
	look = func() {
		if lead := c.Leader(); tries > 0 && (lead == nil || lead == old) {
			tries--
			c.clock.after(Tick, look)
			return
		}
		c.clock.after(c.rng.Between(0, 3*Tick), then)
	}
	look()
}

// mend brings the network back to its everyday state.
func (c *campaign) mend() {
	if !c.ending {
		c.tracef("the network is mended")
		c.setNet()
	}
}
