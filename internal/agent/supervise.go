package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// storageStuck is how long one write to the card may last before the agent no
// longer counts as making progress. Cards that collect their garbage take ten
// seconds and more for a sync, and the kernel tries again for minutes before it
// calls one broken; all that time the others go on, and a restart would not help.
const storageStuck = 5 * time.Minute

// feedsPerDeadline is how often the watchdog is fed within its deadline.
const feedsPerDeadline = 3

// supervisor is the service manager that started the agent, if one did
// (sd_notify(3)). It is told when the socket serves, in a line how the device
// fares, and, as a watchdog, that the agent makes progress: each time only after
// the server's loop has turned and while no write has been stuck for long. So
// nothing is fed on behalf of a loop that hangs, and a slow card is no hang.
type supervisor struct {
	log      *slog.Logger
	notify   func(state string)
	deadline time.Duration // of the watchdog; 0: there is none
}

// newSupervisor finds the service manager in the environment.
func newSupervisor(log *slog.Logger) *supervisor {
	deadline, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("the watchdog of the service manager is not understood, and will not be fed", "error", err)
	}
	notify := func(state string) {
		if _, err := daemon.SdNotify(false, state); err != nil {
			log.Warn("the service manager could not be told", "state", state, "error", err)
		}
	}
	return &supervisor{log: log, notify: notify, deadline: deadline}
}

// Supervised reports whether a service manager started this process.
func Supervised() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// status tells how the device fares, for `systemctl status`.
func (s *supervisor) status(format string, args ...any) {
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " ")
	s.notify("STATUS=" + line)
}

// feed feeds the watchdog until ctx ends. progress must return only when the
// agent has made progress, with how long a write has been under way.
func (s *supervisor) feed(ctx context.Context, progress func(context.Context) (writing time.Duration, err error)) {
	if s.deadline <= 0 {
		return
	}
	ticker := time.NewTicker(s.deadline / feedsPerDeadline)
	defer ticker.Stop()
	stuck := false
	for {
		writing, err := progress(ctx)
		switch {
		case err != nil: // it stops
			return
		case writing < storageStuck:
			stuck = false
			s.notify(daemon.SdNotifyWatchdog)
		case !stuck:
			stuck = true
			s.log.Error("a write to the card has not come back, so the watchdog of the service manager is fed no more and will restart the agent; if that does not help, replace the card",
				"writing_for", writing.Round(time.Second))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// progress is what the watchdog is fed from.
func (a *agent) progress(ctx context.Context) (writing time.Duration, err error) {
	d := a.current()
	if d == nil {
		return 0, nil // without a key there is nothing that could be stuck
	}
	return d.server.Progress(ctx)
}

// reloadOnHangup rereads the configuration at each SIGHUP until ctx ends, where
// a service manager may send it. Elsewhere it ends the process, as when a
// terminal is closed.
func (s *supervisor) reloadOnHangup(ctx context.Context, reload func()) {
	if !Supervised() {
		return
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			s.notify(daemon.SdNotifyReloading)
			reload()
			s.notify(daemon.SdNotifyReady)
		}
	}
}

// tellChange sums up a change in a line for the service manager.
func (s *supervisor) tellChange(self raft.NodeID, c server.Change) {
	members := 0
	if c.Config != nil {
		members = len(c.Config.Members)
	}
	switch {
	case members == 0:
		s.status("Looks for the other devices of its cluster")
	case c.Leader == self:
		s.status("Leads %d members in term %d", members, c.Term)
	case c.Leader != "":
		s.status("Follows %s (%s), one of %d members, in term %d", nameOf(c.Config, c.Leader), show.ShortID(string(c.Leader)), members, c.Term)
	default:
		s.status("No leader is known; there are %d members", members)
	}
}

// reload applies what of a new configuration can change while the agent runs,
// and says what cannot. One that is not valid changes nothing.
func (a *agent) reload(load func() (config.Config, error)) {
	next, err := load()
	if err != nil {
		a.log.Error("the configuration was not reloaded; everything stays as it is", "error", err)
		return
	}
	var later []string
	for _, s := range config.Settings {
		if s.Key != "log.level" && s.Text(&next) != s.Text(&a.cfg) {
			later = append(later, s.Key)
		}
	}
	setLevel(a.level, next.Log.Level)
	a.log.Info("the configuration was reloaded", "log.level", next.Log.Level, "need_restart", strings.Join(later, " "))
}
