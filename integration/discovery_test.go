package integration

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/raft"
)

const roleDiscover = "discover"

// discover is device n of TestDiscovery: it prints whom it finds.
func discover(args []string) {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	err = discovery.Run(context.Background(), discovery.Config{
		Self: deviceID(n), Cluster: "lab", Port: 7000 + n,
		Found: func(p discovery.Peer) { fmt.Println("found", p.ID, p.Addrs) },
	})
	fmt.Println("ended:", err)
}

func deviceID(n int) raft.NodeID { return raft.NodeIDFrom([10]byte{byte(n)}) }

// Three devices on a LAN find each other at their addresses, and a device that
// was cut off meanwhile finds those that came.
func TestDiscovery(t *testing.T) {
	n := lab.New(t, 3)
	var devices []*lab.Process
	start := func(i int) {
		devices = append(devices, n.Start(i, lab.Command{Name: fmt.Sprintf("device %d", i),
			Args: []string{os.Args[0], strconv.Itoa(i)}, Env: []string{envRole + "=" + roleDiscover}}))
	}
	finds := func(i, j int) {
		t.Helper()
		lab.Eventually(t, fmt.Sprintf("device %d finds %d", i, j), 30*time.Second, func() error {
			log := devices[i-1].Log()
			if want := fmt.Sprintf("found %s [%s:%d", deviceID(j), n.Addr(j), 7000+j); !strings.Contains(log, want) {
				return fmt.Errorf("no %q in:\n%s", want, log)
			}
			return nil
		})
	}
	start(1)
	start(2)
	finds(1, 2)
	finds(2, 1)
	n.Isolate(1)
	start(3)
	finds(2, 3)
	finds(3, 2)
	if log := devices[0].Log(); strings.Contains(log, string(deviceID(3))) {
		t.Errorf("device 1 is cut off, yet found device 3:\n%s", log)
	}
	n.Heal()
	finds(1, 3)
	finds(3, 1)
}
