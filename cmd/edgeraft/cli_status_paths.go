package main

import (
	"fmt"
	"io"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
)

// printBroker tells how the connection to the broker fares, where there is one.
func printBroker(out io.Writer, m *api.MQTT) {
	if m == nil {
		return
	}
	state := "connected to"
	if !m.Connected {
		state = "NOT connected to"
	}
	fmt.Fprintf(out, "Broker   %s %s for %s\n", state, show.Printable(m.Broker), ago(milliseconds(m.ForMS)))
}

// printPaths adds the ways to a member that are not used now, where there are
// several.
func printPaths(table io.Writer, m api.Member) {
	if len(m.Paths) < 2 {
		return
	}
	for _, p := range m.Paths {
		if p.Transport == m.Transport {
			continue
		}
		state, contact := "also", "never"
		if p.Broken {
			state = "broken"
		}
		if p.LastContactMS != nil {
			contact = ago(milliseconds(*p.LastContactMS)) + " ago"
		}
		fmt.Fprintf(table, "\t\t\t%s (%s)\t%s\t\t%s\n", show.Printable(p.Transport), state, roundTrip(p.RoundTripUS), contact)
	}
}

// roundTrip shows microseconds as people read them.
func roundTrip(us int64) string {
	if us <= 0 {
		return "-"
	}
	d := time.Duration(us) * time.Microsecond
	if d < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
