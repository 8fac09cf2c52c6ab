package doctor

import "testing"

// A command is copied to a shell, by root.
func TestPathsAreWordsOfACommand(t *testing.T) {
	f := judgeKey(entry{path: "/my keys/k", mode: 0o644}, entry{}, nil, names{})
	if f.Command != "sudo chmod go= '/my keys/k'" {
		t.Error(f.Command)
	}
}
