package show

import "testing"

func TestCommand(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/edgeraft": "sudo rm /var/lib/edgeraft 7",
		"/my data/log.db":   "sudo rm '/my data/log.db' 7",
		"/it's; reboot":     `sudo rm '/it'\''s; reboot' 7`,
		"/a\nb":             "sudo rm '/a\nb' 7",
		"":                  "sudo rm '' 7",
	} {
		if got := Command("sudo rm %s %d", path, 7); got != want {
			t.Errorf("%q: %s, want %s", path, got, want)
		}
	}
}
