package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
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

// configSource is where a configuration comes from besides its defaults.
type configSource struct {
	host  host
	file  string            // --config; "" for the default place
	flags map[string]string // settings given as flags, by key
}

// path is where the configuration file is, or would be.
func (from configSource) path() string {
	return cmp.Or(from.file, from.host.env[envConfig], from.host.configFile())
}

// loadConfig builds the configuration: the defaults, over them the file, over
// that the environment, over that the flags. It returns all that is wrong, not
// only the first, each naming its file and line, its variable or its flag.
// The configuration is usable only when the error is nil.
func loadConfig(from configSource) (Config, error) {
	c, _, err := loadConfigOrigins(from)
	return c, err
}

// loadConfigOrigins is loadConfig that also tells, by key, where each setting
// came from; a setting that has its default is not in the map.
func loadConfigOrigins(from configSource) (Config, map[string]string, error) {
	c := defaultConfig(from.host)
	origins := make(map[string]string)
	var errs []error
	fail := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	wanted := from.file != "" || from.host.env[envConfig] != ""
	fail(readConfigFile(&c, origins, from.path(), wanted))
	fail(applyEnv(&c, origins, from.host.env))
	for _, s := range settings {
		if text, ok := from.flags[s.key]; ok {
			fail(applyText(&c, origins, s, text, "--"+s.flagName()))
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
func applyText(c *Config, origins map[string]string, s setting, text, origin string) error {
	if err := s.setText(c, text); err != nil {
		return settingError{key: s.key, origin: origin, err: err}
	}
	origins[s.key] = origin
	return nil
}

// applyEnv applies the EDGERAFT_ variables. One that it does not know is an
// error, because a mistyped name would otherwise be silently without effect.
func applyEnv(c *Config, origins map[string]string, env map[string]string) error {
	byName := make(map[string]setting, len(settings))
	for _, s := range settings {
		byName[s.envName()] = s
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

func unknownEnv(name string, known map[string]setting) error {
	if near := nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		return fmt.Errorf("environment variable %s: no such setting; did you mean %s?", printable(name), near)
	}
	return fmt.Errorf("environment variable %s: no such setting; unset it (`edgeraft run --help` lists the settings)", printable(name))
}
