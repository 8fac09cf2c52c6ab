package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/internal/show"
)

// Names in the environment.
const (
	envPrefix = "EDGERAFT_"
	// envConfig names the configuration file, as --config does.
	envConfig = envPrefix + "CONFIG"
	// envTest starts the variables that the project's tests use among
	// themselves.
	envTest = envPrefix + "TEST_"
)

// Source is where a configuration comes from besides its defaults.
type Source struct {
	Host  Host
	File  string            // --config; "" for the default place
	Flags map[string]string // settings given as flags, by key
}

// Path is where the configuration file is, or would be.
func (from Source) Path() string {
	return cmp.Or(from.File, from.Host.Env[envConfig], from.Host.ConfigFile())
}

// Load builds the configuration: the defaults, over them the file, over
// that the environment, over that the flags. It returns all that is wrong, not
// only the first, each naming its file and line, its variable or its flag.
// The configuration is usable only when the error is nil. The map tells, by key,
// where each setting came from; one that has its default is not in it.
func Load(from Source) (Config, map[string]string, error) {
	c := Default(from.Host)
	origins := make(map[string]string)
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	wanted := from.File != "" || from.Host.Env[envConfig] != ""
	fail(readConfigFile(&c, origins, from.Path(), wanted))
	fail(applyEnv(&c, origins, from.Host.Env))
	for _, s := range Settings {
		if text, ok := from.Flags[s.Key]; ok {
			fail(applyText(&c, origins, s, text, "--"+s.FlagName()))
		}
	}
	c.settle(origins)
	if len(errs) == 0 {
		// A value that could not be read would only be reported twice.
		fail(c.validate(func(key string) string { return origins[key] }))
	}
	return c, origins, errors.Join(errs...)
}

// applyText sets one setting from text and records where it came from.
func applyText(c *Config, origins map[string]string, s Setting, text, origin string) error {
	if err := s.setText(c, text); err != nil {
		return settingError{key: s.Key, origin: origin, err: err}
	}
	origins[s.Key] = origin
	return nil
}

// applyEnv applies the EDGERAFT_ variables. One that it does not know is an
// error, because a mistyped name would otherwise be silently without effect.
func applyEnv(c *Config, origins map[string]string, env map[string]string) error {
	byName := make(map[string]Setting, len(Settings))
	for _, s := range Settings {
		byName[s.EnvName()] = s
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if !strings.HasPrefix(name, envPrefix) || name == envConfig || strings.HasPrefix(name, envTest) {
			continue
		}
		s, known := byName[name]
		if !known {
			errs = append(errs, unknownEnv(name, byName))
			continue
		}
		if err := applyText(c, origins, s, env[name], name); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func unknownEnv(name string, known map[string]Setting) error {
	if near := Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		return fmt.Errorf("environment variable %s: no such setting; did you mean %s?", show.Printable(name), near)
	}
	return fmt.Errorf("environment variable %s: no such setting; unset it (`edgeraft run --help` lists the settings)", show.Printable(name))
}
