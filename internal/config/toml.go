package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/edgeraft/edgeraft/internal/show"
)

// maxConfigFile bounds a configuration file, in bytes: what is larger can only
// be the wrong file.
const maxConfigFile = 64 << 10

// maxKey is how many bytes of a key are looked at and shown. No setting's is
// near it, and it bounds how deep tables are followed.
const maxKey = 64

// maxFileProblems is how many problems of one file are reported.
const maxFileProblems = 20

// readConfigFile applies the file at path. Only when wanted must it exist.
func readConfigFile(c *Config, origins map[string]string, path string, wanted bool) error {
	if path == "" {
		return nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) && !wanted {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if len(data) > maxConfigFile {
		return fmt.Errorf("read the configuration %s: it is larger than %d bytes; is it the right file?", path, maxConfigFile)
	}
	return applyTOML(c, origins, path, string(data))
}

// applyTOML applies the text of a configuration file; path is for messages.
func applyTOML(c *Config, origins map[string]string, path, text string) error {
	var top map[string]toml.Primitive
	md, err := toml.Decode(text, &top)
	if err != nil {
		var syntax toml.ParseError
		if errors.As(err, &syntax) {
			return fmt.Errorf("%s line %d: %s%s", path, syntax.Position.Line, show.Printable(syntax.Message), whereTwice(syntax.Message))
		}
		return fmt.Errorf("read the configuration %s: %w", path, err)
	}
	r := tomlReader{md: md, config: c, origins: origins, path: path}
	r.table("", top)
	// Maps come in no order; people read from the top.
	slices.SortStableFunc(r.problems, func(a, b tomlProblem) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for i, p := range r.problems {
		if i == maxFileProblems {
			errs = append(errs, fmt.Errorf("%s: and %d more", path, len(r.problems)-i))
			break
		}
		errs = append(errs, fmt.Errorf("%s: %w", r.at(p.line), p.err))
	}
	return errors.Join(errs...)
}

// tomlReader walks over the keys of a file and sets what they name.
type tomlReader struct {
	md       toml.MetaData
	config   *Config
	origins  map[string]string
	path     string
	problems []tomlProblem
}

type tomlProblem struct {
	line int
	err  error
}

// table applies all keys of a table whose own key is prefix ("" for the top,
// else with a dot at its end).
func (r *tomlReader) table(prefix string, keys map[string]toml.Primitive) {
	for name, value := range keys {
		// As a file writes it, so that a quoted "udp.listen" is not taken for
		// the key listen of the table udp.
		key := prefix + toml.Key{name}.String()
		if len(key) > maxKey {
			key = key[:maxKey] + "..."
		}
		raw, line := r.locate(value)
		_, isTable := raw.(map[string]any)
		s, known := FindSetting(key)
		switch {
		case known:
			r.set(s, raw, line)
		case isTable && (isGroup(key) || line == 0):
			// Without a line it is a table that only the keys below it make,
			// as metrics in "metrics.listen = 1": they have the line.
			var below map[string]toml.Primitive
			if err := r.md.PrimitiveDecode(value, &below); err != nil || len(key) > maxKey {
				r.fail(line, unknownKey(key))
				continue
			}
			r.table(key+".", below)
		case isGroup(key):
			r.fail(line, fmt.Errorf("%s: %w: it must be a table, as [%s]", key, errWrongType, key))
		default:
			r.fail(line, unknownKey(key))
		}
	}
}

// set applies the value of one setting.
func (r *tomlReader) set(s Setting, value any, line int) {
	if err := s.setTOML(r.config, value); err != nil {
		r.fail(line, fmt.Errorf("%s: %w", s.Key, err))
		return
	}
	r.origins[s.Key] = r.at(line)
}

func (r *tomlReader) fail(line int, err error) {
	r.problems = append(r.problems, tomlProblem{line, err})
}

// at names a line of the file; 0 is a line that the decoder does not know.
func (r *tomlReader) at(line int) string {
	if line == 0 {
		return r.path
	}
	return fmt.Sprintf("%s line %d", r.path, line)
}

// locate tells a value and on which line it is. The decoder keeps lines to
// itself except in errors, so it is made to return one.
func (r *tomlReader) locate(value toml.Primitive) (any, int) {
	var raw rawTOML
	var at toml.ParseError
	if errors.As(r.md.PrimitiveDecode(value, &raw), &at) {
		return raw.value, at.Position.Line
	}
	return raw.value, 0
}

// rawTOML takes any value, and answers with an error, to which the decoder
// adds the value's position.
type rawTOML struct{ value any }

var errPosition = errors.New("position wanted")

// UnmarshalTOML implements toml.Unmarshaler.
func (r *rawTOML) UnmarshalTOML(value any) error {
	r.value = value
	return errPosition
}

// isGroup reports whether some setting is below key.
func isGroup(key string) bool {
	for _, s := range Settings {
		if strings.HasPrefix(s.Key, key+".") {
			return true
		}
	}
	return false
}

// isTop reports whether key is a setting that is in no table.
func isTop(key string) bool {
	_, known := FindSetting(key)
	return known && !strings.Contains(key, ".")
}

// whereTwice says what to do about a table or key that is in the file twice,
// which is what comes of appending to the packaged file: it has all tables.
func whereTwice(message string) string {
	if !strings.Contains(message, "already been defined") {
		return ""
	}
	return " It stands further up in this file: change it there, and take this one out"
}

func unknownKey(key string) error {
	names := make([]string, 0, len(Settings))
	for _, s := range Settings {
		names = append(names, s.Key)
	}
	if table, name, below := strings.Cut(key, "."); below && isGroup(table) && isTop(name) {
		return fmt.Errorf("%s: no such key; %s belongs above the first [table] of the file, but stands below [%s]", show.Printable(key), name, table)
	}
	if near := Nearest(key, names); near != "" {
		return fmt.Errorf("%s: no such key; did you mean %s?", show.Printable(key), near)
	}
	return fmt.Errorf("%s: no such key (`edgeraft run --help` lists the settings)", show.Printable(key))
}
