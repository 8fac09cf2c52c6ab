// Package release tells which build of edgeraft this is.
package release

import (
	"runtime/debug"
	"time"
)

// version is set when a release is built: -ldflags "-X …/internal/release.version=v1.2.3".
var version string

// Version is the version of this binary: that of the release, else what
// the Go toolchain recorded, else "devel".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// Time is when this program was made, as far as is known; no clock that is
// right shows an earlier time.
var Time = func() time.Time {
	earliest := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && t.After(earliest) {
				return t
			}
		}
	}
	return earliest
}()
