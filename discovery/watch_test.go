package discovery

import (
	"context"
	"testing"
	"time"
)

// The kernel tells of what changes, and what nobody listens to piles up nowhere.
func TestWatch(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	changed := Watch(ctx)
	for _, change := range []func(){
		func() { addLAN(t, "10.77.0.1/24") },
		func() { ip(t, "addr add 10.77.0.70/24 dev eth0") },
		func() { ip(t, "addr flush dev eth0 scope global") },
		func() { ip(t, "link set eth0 down") },
		func() { ip(t, "link del eth0") },
	} {
		change()
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatal("a change is not told")
		}
		// The rest of this change, so that the next wait is for the next.
		quiet := time.NewTimer(3 * watchPause)
		for more := true; more; {
			select {
			case <-changed:
				quiet.Reset(3 * watchPause)
			case <-quiet.C:
				more = false
			}
		}
	}
	stop()
	noLeak(t)
}
