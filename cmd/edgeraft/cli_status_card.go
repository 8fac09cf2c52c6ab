package main

import (
	"fmt"
	"io"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
)

// printCard prints what the database cost the card, and how long that may go on.
func printCard(out io.Writer, s api.Storage) {
	if s.Written != nil {
		fmt.Fprintf(out, "Written  %s\n", writtenLine(*s.Written))
	}
	if s.Card != nil {
		fmt.Fprintf(out, "Card     %s\n", cardLine(*s.Card))
	}
	if s.Forecast != nil {
		fmt.Fprintf(out, "Lasts    %s\n", forecastLine(*s.Forecast, s.Card, s.Written))
	}
}

func writtenLine(w api.Written) string {
	line := ""
	if w.Today != nil {
		line = fmt.Sprintf("today (UTC) at least %s in %d syncs; ", show.Size(w.Today.Bytes()), w.Today.Syncs)
	}
	line += fmt.Sprintf("since the start %s, %d syncs", show.Size(w.SinceStart.Bytes()), w.SinceStart.Syncs)
	line += fmt.Sprintf("; ever at least %s, %d syncs", show.Size(w.Ever.Bytes()), w.Ever.Syncs)
	return line + fmt.Sprintf(" (log %s, checkpoints %s, other %s)",
		show.Size(w.Ever.LogBytes), show.Size(w.Ever.CheckpointBytes), show.Size(w.Ever.OtherBytes))
}

func cardLine(c api.Card) string {
	line := "not known"
	switch {
	case c.Device == "" && c.Kind != "":
		line = show.Printable(c.Kind)
	case c.Device != "":
		line = show.Printable(c.Device)
		for _, word := range []string{c.Kind, c.Model} {
			if word != "" {
				line += " " + show.Printable(word)
			}
		}
		if c.Bytes > 0 {
			line += ", " + show.Size(c.Bytes)
		}
	}
	if c.FileSystemBytes > 0 {
		line += fmt.Sprintf("; %s of the file system's %s are free", show.Size(c.FreeBytes), show.Size(c.FileSystemBytes))
	}
	switch used := c.LifeUsedPercent; {
	case used > 100:
		line += "; it reports that its life is used up"
	case used > 0:
		line += fmt.Sprintf("; it reports %d to %d %% of its life as used", used-10, used)
	}
	if c.SpareBlocks != "" {
		line += "; spare blocks: " + show.Printable(c.SpareBlocks)
	}
	return line
}

// manyYears is more than a forecast can tell.
const manyYears = 100

func forecastLine(f api.Forecast, c *api.Card, w *api.Written) string {
	line := fmt.Sprintf("about %.0f years", f.Years)
	switch {
	case f.Years > manyYears:
		line = fmt.Sprintf("more than %d years", manyYears)
	case f.Years < 10:
		line = fmt.Sprintf("about %.1f years", f.Years)
	}
	since := "the start"
	if w != nil && f.Basis == api.BasisEver {
		since = "the counting began"
		if t, err := time.Parse(time.RFC3339, w.EverSince); err == nil {
			since = t.UTC().Format(time.DateOnly)
		}
	}
	line += fmt.Sprintf(" at %s a day, as since %s, assuming that each cell bears %d erasures and the card writes %d bytes for each that it is given",
		show.Size(f.BytesPerDay), since, f.EraseCycles, f.WriteAmplification)
	if c == nil || c.Bytes == 0 {
		line += ", and that it is as large as the file system"
	}
	return line + "; the file system's journal and other programs shorten it"
}
