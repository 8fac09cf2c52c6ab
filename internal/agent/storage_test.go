package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/card"
)

func TestForecastBasis(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	known := card.Card{Bytes: 32e9, FileSystemBytes: 30e9}
	spent := func(start, ever uint64, since time.Time) boltlog.Spending {
		return boltlog.Spending{Start: boltlog.Spent{LogBytes: start}, Ever: boltlog.Spent{SnapshotBytes: ever}, Since: since}
	}
	for name, c := range map[string]struct {
		card    card.Card
		spent   boltlog.Spending
		running time.Duration
		basis   string // "": none
		perDay  uint64
		size    uint64
	}{
		"ever":                         {known, spent(50, 1000, now.Add(-10*day)), 2 * day, "ever", 100, 32e9},
		"ever, just started":           {known, spent(50, 1000, now.Add(-10*day)), time.Minute, "ever", 100, 32e9},
		"the clock is not known":       {known, spent(50, 1000, time.Time{}), 2 * day, "since_start", 25, 32e9},
		"the clock is surely wrong":    {known, spent(50, 1000, now.Add(-2*day)), 5 * day, "since_start", 10, 32e9},
		"the clock went back":          {known, spent(50, 1000, now.Add(day)), 5 * day, "since_start", 10, 32e9},
		"too early":                    {known, spent(50, 1000, now.Add(-day/2)), day / 2, "", 0, 0},
		"a disk that is not known":     {card.Card{FileSystemBytes: 30e9}, spent(50, 1000, time.Time{}), 2 * day, "since_start", 25, 30e9},
		"nothing is known":             {card.Card{}, spent(50, 1000, time.Time{}), 2 * day, "", 0, 0},
		"a file system in memory":      {card.Card{FileSystemBytes: 30e9, Kind: card.InMemory}, spent(50, 1000, time.Time{}), 2 * day, "", 0, 0},
		"nothing was written for days": {known, spent(0, 0, time.Time{}), 2 * day, "", 0, 0},
	} {
		f := forecast(c.card, c.spent, now, c.running)
		if f == nil {
			f = &api.Forecast{}
		}
		if f.Basis != c.basis || f.BytesPerDay != c.perDay || f.CardBytes != c.size {
			t.Errorf("%s: %+v", name, *f)
		}
	}
}

func TestWrittenLeavesOutWhatIsNotKnown(t *testing.T) {
	w := written(boltlog.Spending{Today: boltlog.Spent{LogBytes: 1}})
	if w.Today != nil || w.EverSince != "" {
		t.Errorf("%+v", w)
	}
	w = written(boltlog.Spending{Today: boltlog.Spent{Syncs: 1}, TodayKnown: true, Since: time.Unix(1767225600, 0)})
	if w.Today == nil || w.Today.Syncs != 1 || w.EverSince != "2026-01-01T00:00:00Z" {
		t.Errorf("%+v", w)
	}
}

func TestCardWarnings(t *testing.T) {
	for _, c := range []struct {
		card *api.Card
		want string // "": none
	}{
		{nil, ""},
		{&api.Card{}, ""},
		{&api.Card{LifeUsedPercent: 90, SpareBlocks: card.SpareNormal}, ""},
		{&api.Card{LifeUsedPercent: 100, SpareBlocks: card.SpareNormal}, "100 % of its life used, its spare blocks: normal"},
		{&api.Card{LifeUsedPercent: 110}, "its whole life used, nothing of its spare blocks"},
		{&api.Card{SpareBlocks: card.SpareUrgent}, "(its spare blocks: urgent)"},
	} {
		ws := cardWarnings(c.card)
		if len(ws) > 0 != (c.want != "") || len(ws) > 0 && !strings.Contains(ws[0].Message, c.want) {
			t.Errorf("%+v: %+v", c.card, ws)
		}
		if urgent(ws) {
			t.Error("it makes the device unhealthy")
		}
	}
}
