package agent

import (
	"fmt"
	"math"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/card"
)

// fillStorage tells what was written to the card, and what is known of it.
// Nothing of this waits for the card: sysfs is memory, and so is what statfs
// answers from.
func (a *agent) fillStorage(s *api.Storage) {
	s.Disk = disk(a.db.Room())
	spending := a.db.Spending()
	s.Saves, s.Written = a.db.Stats().Saves, written(spending)
	c, err := card.Read(card.Sys, a.cfg.DataDir)
	if err != nil {
		return // the database is open all the same, and says so itself when it fails
	}
	s.Card = &api.Card{
		FileSystemBytes: c.FileSystemBytes, FreeBytes: c.FreeBytes, Device: c.Device, Bytes: c.Bytes,
		Kind: c.Kind, Model: c.Model, LifeUsedPercent: c.LifeUsed, SpareBlocks: c.Spare,
	}
	s.Forecast = forecast(c, spending, time.Now(), time.Since(a.started))
}

func written(s boltlog.Spending) *api.Written {
	w := &api.Written{SinceStart: amount(s.Start), Ever: amount(s.Ever)}
	if s.TodayKnown {
		today := amount(s.Today)
		w.Today = &today
	}
	if !s.Since.IsZero() {
		w.EverSince = s.Since.UTC().Format(time.RFC3339)
	}
	return w
}

func amount(s boltlog.Spent) api.Amount {
	return api.Amount{LogBytes: s.LogBytes, CheckpointBytes: s.SnapshotBytes, OtherBytes: s.OtherBytes, Syncs: s.Syncs}
}

// forecast reckons from all that was ever written, where it is known since when,
// else from what this process wrote; nil where neither says enough. A span that
// is shorter than this process runs shows that the wall clock is wrong.
func forecast(c card.Card, s boltlog.Spending, now time.Time, running time.Duration) *api.Forecast {
	size := c.Bytes
	if size == 0 && c.Kind != card.InMemory {
		size = c.FileSystemBytes
	}
	basis, bytes, span := api.BasisSinceStart, s.Start.Bytes(), running
	if ever := now.Sub(s.Since); !s.Since.IsZero() && ever >= running && ever >= card.MinSpan {
		basis, bytes, span = api.BasisEver, s.Ever.Bytes(), ever
	}
	f, ok := card.Predict(size, bytes, span)
	if !ok {
		return nil
	}
	return &api.Forecast{
		Years: math.Round(f.Years*10) / 10, BytesPerDay: f.BytesPerDay, Basis: basis, CardBytes: size,
		EraseCycles: card.EraseCycles, WriteAmplification: card.WriteAmplification,
	}
}

// wornPercent is how much of its life an eMMC may say is used before that is
// worth a warning.
const wornPercent = 90

// cardWarnings tells of a card that says that it is near its end.
func cardWarnings(c *api.Card) []api.Warning {
	if c == nil || c.LifeUsedPercent <= wornPercent && (c.SpareBlocks == "" || c.SpareBlocks == card.SpareNormal) {
		return nil
	}
	says := "its spare blocks: " + c.SpareBlocks
	if c.SpareBlocks == "" {
		says = "nothing of its spare blocks"
	}
	if c.LifeUsedPercent > 100 {
		says = "its whole life used, " + says
	} else if c.LifeUsedPercent > 0 {
		says = fmt.Sprintf("%d %% of its life used, %s", c.LifeUsedPercent, says)
	}
	return []api.Warning{{
		Code:    "card_worn",
		Next:    "edgeraft members list   (are the others well?)",
		Message: fmt.Sprintf("The memory below the database, %s, reports that it is wearing out (%s). Replace it soon.", c.Device, says),
	}}
}
