package seal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// countingKey is a fixed key, bytes 0 to 31.
func countingKey() Key {
	var k Key
	for i := range k.bytes {
		k.bytes[i] = byte(i)
	}
	return k
}

// The text is on people's paper and in files: it must stay readable forever.
const countingText = "er1-aaaq-eaye-auda-ocaj-bifq-ydio-b4ib-ceqt-cqkr-mfyy-denb-wha5-dypx-e5ew"

func TestKeyTextIsStable(t *testing.T) {
	if got := countingKey().Text(); got != countingText {
		t.Errorf("Text() = %s\nwant     %s", got, countingText)
	}
}

func TestParseKeyIsTolerant(t *testing.T) {
	for name, text := range map[string]string{
		"as written":   countingText,
		"upper case":   strings.ToUpper(countingText),
		"no dashes":    strings.ReplaceAll(countingText, "-", ""),
		"line breaks":  strings.ReplaceAll(countingText, "-", "-\r\n\t "),
		"surroundings": "\n " + countingText + " \n\n",
	} {
		k, err := ParseKey(text)
		if err != nil || !k.Equal(countingKey()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseKeySaysWhatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":     {"", "starts with er1-"},
		"no prefix": {countingText[4:], "starts with er1-"},
		"short":     {countingText[:60], "characters after er1- where a key has 56"},
		"long":      {countingText + "-aaaa", "60 characters"},
		"digit":     {strings.Replace(countingText, "eaye", "eay1", 1), `character 8 after er1- (in group 2) is '1'`},
		"letter":    {strings.Replace(countingText, "eaye", "eayé", 1), "character 8 after er1- (in group 2) is 'é'"},
		"endless":   {strings.Repeat(countingText, 100), "more than 4096"},
	} {
		_, err := ParseKey(c.text)
		if !errors.Is(err, ErrBadKey) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q in it", name, err, c.want)
		}
	}
}

func TestParseKeyNoticesTypos(t *testing.T) {
	for i := len("er1-"); i < len(countingText); i++ {
		if countingText[i] == '-' {
			continue
		}
		typo := []byte(countingText)
		typo[i] = 'a' + (typo[i]-'a'+1)%26
		if _, err := ParseKey(string(typo)); !errors.Is(err, ErrBadKey) {
			t.Errorf("%s: %v", typo, err)
		}
	}
	swapped := strings.Replace(countingText, "eaye", "eyae", 1)
	if _, err := ParseKey(swapped); !errors.Is(err, ErrBadKey) || !strings.Contains(err.Error(), "swapped") {
		t.Errorf("swapped characters: %v", err)
	}
}

func TestNewKeysDifferAndSurviveText(t *testing.T) {
	a, b := NewKey(), NewKey()
	if a.Equal(b) || a.IsZero() {
		t.Fatal("two new keys are alike")
	}
	if back, err := ParseKey(a.Text()); err != nil || !back.Equal(a) {
		t.Fatalf("the text does not lead back: %v", err)
	}
}

func TestKeyDoesNotPrintItself(t *testing.T) {
	k := NewKey()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c"} {
		fmt.Fprintf(&out, verb+verb+"\n", k, struct{ K Key }{k})
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("t", "key", k, "pointer", &k)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("t", "key", k, "in", struct{ K Key }{k})
	if err := json.NewEncoder(&out).Encode(k); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{
		k.Text()[4:9], fmt.Sprintf("%x", k.bytes[:4]), fmt.Sprintf("%X", k.bytes[:4]),
		fmt.Sprintf("%d %d %d", k.bytes[0], k.bytes[1], k.bytes[2]),
	} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the key is in the output as %q:\n%s", secret, out.String())
		}
	}
}

func TestKeyFileRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.key")
	if _, err := ReadKeyFile(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: %v", err)
	}
	k := NewKey()
	for range 2 { // the second time it is there already
		if err := WriteKeyFile(path, k, false); err != nil {
			t.Fatal(err)
		}
	}
	if back, err := ReadKeyFile(path); err != nil || !back.Equal(k) {
		t.Fatalf("read back: %v", err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, error %v; want 0600", info.Mode(), err)
	}

	other := NewKey()
	if err := WriteKeyFile(path, other, false); !errors.Is(err, ErrKeyExists) {
		t.Fatalf("another key over it: %v", err)
	}
	if err := WriteKeyFile(path, other, true); err != nil {
		t.Fatal(err)
	}
	if back, err := ReadKeyFile(path); err != nil || !back.Equal(other) {
		t.Fatalf("read back after force: %v", err)
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("files are left behind: %v", left)
	}
}

func TestWriteKeyFileKeepsWhatItDoesNotKnow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.key")
	writeFile(t, path, "precious", 0o600)
	if err := WriteKeyFile(path, NewKey(), false); !errors.Is(err, ErrKeyExists) || !errors.Is(err, ErrBadKey) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Errorf("the file is now %q", b)
	}
	if err := WriteKeyFile(filepath.Join(path, "no", "dir"), NewKey(), false); err == nil {
		t.Error("written into a directory that is none")
	}
}

func TestReadKeyFileRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o620, 0o602, 0o666} {
		writeFile(t, path, countingText, mode)
		_, err := ReadKeyFile(path)
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	writeFile(t, path, countingText+strings.Repeat("\n", 5000), 0o600)
	if _, err := ReadKeyFile(path); !errors.Is(err, ErrBadKey) || !strings.Contains(err.Error(), "4096") {
		t.Errorf("large file: %v", err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, pipe} {
		if _, err := ReadKeyFile(p); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", p, err)
		}
	}
}

func writeFile(t *testing.T, path, content string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
