package main

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

func TestStatusOfACard(t *testing.T) {
	with := `"storage":{"saves":9,"log_bytes":100,
 "written":{"since_start":{"log_bytes":40960,"other_bytes":12288,"syncs":14},"today":{"log_bytes":90000,"syncs":20},
  "ever":{"log_bytes":5000000,"checkpoint_bytes":20480,"other_bytes":17000000,"syncs":1300},"ever_since":"2026-01-01T00:00:00Z"},
 "card":{"file_system_bytes":31000000000,"free_bytes":20000000000,"device":"mmc\u001bblk0","bytes":32000000000,"kind":"MMC","model":"BJTD4R","life_used_percent":20,"spare_blocks":"normal"},
 "forecast":{"years":41.34,"bytes_per_day":2200000,"basis":"ever","card_bytes":32000000000,"erase_cycles":1000,"write_amplification":4}}`
	const without = `"storage":{"saves":9,"log_bytes":100}`
	show := func(storage string) string {
		t.Helper()
		healthy := strings.Replace(strings.Replace(status, "%", "true", 1), without, storage, 1)
		got := serveFake(t, "", answers(map[string]string{"GET /v1/status": healthy})).run(t, "", "status")
		if got.code != 0 {
			t.Fatalf("%+v", got)
		}
		return got.stdout
	}
	want := `Storage  9 saves, log 100 bytes
Written  today (UTC) at least 87 KiB in 20 syncs; since the start 52 KiB, 14 syncs; ever at least 21 MiB, 1300 syncs (log 4882 KiB, checkpoints 20 KiB, other 16 MiB)
Card     mmc\x1bblk0 MMC BJTD4R, 29 GiB; 18 GiB of the file system's 28 GiB are free; it reports 10 to 20 % of its life as used; spare blocks: normal
Lasts    about 41 years at 2148 KiB a day, as since 2026-01-01, assuming that each cell bears 1000 erasures and the card writes 4 bytes for each that it is given; the file system's journal and other programs shorten it
Traffic  `
	if got := show(with); !strings.Contains(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	little := show(`"storage":{"saves":9,"log_bytes":100,"card":{"free_bytes":0},` +
		`"forecast":{"years":1e9,"bytes_per_day":5,"basis":"since_start","card_bytes":1,"erase_cycles":1000,"write_amplification":4}}`)
	if !strings.Contains(little, "Card     not known\nLasts    more than 100 years at 5 bytes a day, as since the start, assuming") ||
		!strings.Contains(little, ", and that it is as large as the file system;") {
		t.Errorf("got:\n%s", little)
	}
}
