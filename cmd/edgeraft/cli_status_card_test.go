package main

import (
	"strings"
	"testing"
)

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
