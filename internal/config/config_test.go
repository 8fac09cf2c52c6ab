package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// userHost is an ordinary user's machine on which nothing is set.
func userHost(t *testing.T, env ...string) Host {
	t.Helper()
	return Host{Name: "pi-kitchen", Env: envMap(append([]string{"HOME=" + t.TempDir()}, env...))}
}

// writeConfig puts a configuration file into a fresh directory.
func writeConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edgeraft.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultPaths(t *testing.T) {
	tests := []struct {
		name               string
		host               Host
		data, socket, key  string
		file, invalidField string
	}{
		{
			name: "root", host: Host{Root: true},
			data: "/var/lib/edgeraft", socket: "/run/edgeraft/edgeraft.sock",
			key: "/etc/edgeraft/cluster.key", file: "/etc/edgeraft/edgeraft.toml",
		}, {
			name: "user with XDG", host: Host{Env: envMap([]string{"HOME=/home/u", "XDG_STATE_HOME=/s", "XDG_RUNTIME_DIR=/run/user/7", "XDG_CONFIG_HOME=/c"})},
			data: "/s/edgeraft", socket: "/run/user/7/edgeraft/edgeraft.sock",
			key: "/c/edgeraft/cluster.key", file: "/c/edgeraft/edgeraft.toml",
		}, {
			name: "user without XDG", host: Host{Env: envMap([]string{"HOME=/home/u"})},
			data: "/home/u/.local/state/edgeraft", socket: "/home/u/.local/state/edgeraft/run/edgeraft.sock",
			key: "/home/u/.config/edgeraft/cluster.key", file: "/home/u/.config/edgeraft/edgeraft.toml",
		}, {
			name: "a relative XDG path counts as unset", host: Host{Env: envMap([]string{"HOME=/home/u", "XDG_STATE_HOME=s"})},
			data: "/home/u/.local/state/edgeraft", socket: "/home/u/.local/state/edgeraft/run/edgeraft.sock",
			key: "/home/u/.config/edgeraft/cluster.key", file: "/home/u/.config/edgeraft/edgeraft.toml",
		}, {
			name: "no home", host: Host{}, invalidField: "data_dir: is empty",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default(tt.host)
			got := []string{c.DataDir, c.Socket, c.KeyFile, tt.host.ConfigFile()}
			if want := []string{tt.data, tt.socket, tt.key, tt.file}; !reflect.DeepEqual(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			err := c.Validate()
			if tt.invalidField == "" && err != nil {
				t.Errorf("Validate: %v", err)
			}
			if tt.invalidField != "" && (err == nil || !strings.Contains(err.Error(), tt.invalidField)) {
				t.Errorf("Validate: %v, want it to name %q", err, tt.invalidField)
			}
		})
	}
}

func TestDefaultName(t *testing.T) {
	tests := map[string]string{
		"pi":                           "pi",
		"":                             "edgeraft",
		"a\x1b[31mb":                   "a[31mb",
		strings.Repeat("x", 63) + "éy": strings.Repeat("x", 63),
	}
	for hostname, want := range tests {
		if got := defaultName(hostname); got != want {
			t.Errorf("defaultName(%q) = %q, want %q", hostname, got, want)
		}
	}
}

// TestPrecedence sets one setting of every type in each layer alone and in
// all layers at once.
func TestPrecedence(t *testing.T) {
	const file = `
max_voters = 3
peers = ["a:1", "b:2"]
[udp]
listen = ":1000"
[timing]
election = "3s"
`
	env := []string{"EDGERAFT_UDP_LISTEN=:2000", "EDGERAFT_MAX_VOTERS=7", "EDGERAFT_PEERS=c:3, d:4", "EDGERAFT_TIMING_ELECTION=4s"}
	flags := map[string]string{"udp.listen": ":3000", "max_voters": "9", "peers": "", "timing.election": "5s"}
	type want struct {
		listen   string
		voters   int
		peers    []string
		election time.Duration
	}
	tests := []struct {
		name  string
		file  string
		env   []string
		flags map[string]string
		want  want
	}{
		{"nothing", "", nil, nil, want{":7521", 5, nil, Default(Host{}).Timing.Election}},
		{"file", file, nil, nil, want{":1000", 3, []string{"a:1", "b:2"}, 3 * time.Second}},
		{"environment", "", env, nil, want{":2000", 7, []string{"c:3", "d:4"}, 4 * time.Second}},
		{"flags", "", nil, flags, want{":3000", 9, []string{}, 5 * time.Second}},
		{"environment over file", file, env, nil, want{":2000", 7, []string{"c:3", "d:4"}, 4 * time.Second}},
		{"flags over file", file, nil, flags, want{":3000", 9, []string{}, 5 * time.Second}},
		{"flags over all", file, env, flags, want{":3000", 9, []string{}, 5 * time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from := Source{Host: userHost(t, tt.env...), Flags: tt.flags}
			if tt.file != "" {
				from.File = writeConfig(t, tt.file)
			}
			c, _, err := Load(from)
			if err != nil {
				t.Fatal(err)
			}
			got := want{c.UDP.Listen, c.MaxVoters, c.Peers, c.Timing.Election}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if c.Name != "pi-kitchen" {
				t.Errorf("name %q, want the host name", c.Name)
			}
		})
	}
}

// TestEverySettingInEveryLayer proves that the one table reaches them all.
func TestEverySettingInEveryLayer(t *testing.T) {
	values := map[string]string{
		"name": "n", "cluster": "c-1", "data_dir": "/d", "socket": "/s", "key_file": "/k", "transports": "mqtt",
		"udp.listen": "127.0.0.1:9", "udp.interfaces": "eth0", "peers": "h:1",
		"mqtt.brokers": "mqtts://b:8883", "mqtt.user": "u", "mqtt.password_file": "/p", "mqtt.ca_file": "/ca", "mqtt.cert_file": "/c", "mqtt.key_file": "/ck",
		"mqtt.keepalive": "7s", "mqtt.max_packet": "2048", "discovery": "off", "join": "manual",
		"bootstrap_expect": "3", "max_voters": "1", "dead_after": "5m0s", "timing.heartbeat": "100ms", "timing.election": "1s", "flash.commit_window": "20ms", "limits.command_bytes": "1000",
		"limits.log_bytes": "2000000", "limits.watch_history_bytes": "3000", "limits.watch_history_events": "5", "metrics.listen": "[::1]:9", "log.level": "warn",
	}
	var env []string
	var file strings.Builder
	for _, s := range Settings {
		value, ok := values[s.Key]
		if !ok {
			t.Fatalf("no value to try %s with: add one to this test", s.Key)
		}
		env = append(env, s.EnvName()+"="+value)
		switch s.Field(new(Config)).(type) {
		case *int:
		case *[]string:
			value = `["` + value + `"]`
		default:
			value = `"` + value + `"`
		}
		file.WriteString(s.Key + " = " + value + "\n")
	}
	layers := map[string]Source{
		"file":        {Host: userHost(t), File: writeConfig(t, file.String())},
		"environment": {Host: userHost(t, env...)},
		"flags":       {Host: userHost(t), Flags: values},
	}
	for name, from := range layers {
		c, origins, err := Load(from)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range Settings {
			if got := s.Text(&c); got != values[s.Key] {
				t.Errorf("%s: %s is %q, want %q", name, s.Key, got, values[s.Key])
			}
			if origins[s.Key] == "" {
				t.Errorf("%s: the origin of %s is not known", name, s.Key)
			}
		}
	}
}

// TestFileErrors proves that what is wrong in a file is named with its line.
func TestFileErrors(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // in this order
	}{
		{"unknown key", "name = \"a\"\nclutser = \"b\"\n", []string{"line 2: clutser: no such key; did you mean cluster?"}},
		{"unknown key in a table", "[udp]\n\n# c\nlisen = \":1\"\n", []string{"line 4: udp.lisen: no such key; did you mean udp.listen?"}},
		{"dotted unknown key", "\nudp.lisen = \":1\"", []string{"line 2: udp.lisen: no such key; did you mean udp.listen?"}},
		{"unknown after many-line values", "peers = [\n  \"a:1\",\n]\nname = \"\"\"\nx=1\"\"\"\nfrobnicate = 1\n", []string{"line 6: frobnicate: no such key (`edgeraft run --help`"}},
		{"unknown table", "name = \"a\"\n[frob]\nx = 1\n", []string{"line 2: frob: no such key"}},
		{"quoted dots are no table", "\n\"udp.listen\" = \":1\"\n", []string{`line 2: "udp.listen": no such key; did you mean udp.listen?`}},
		{"wrong type", "name = \"a\"\nmax_voters = \"5\"\n", []string{"line 2: max_voters: has the wrong type: it is a text, but must be a whole number"}},
		{"number for a duration", "[timing]\nheartbeat = 500\n", []string{`line 2: timing.heartbeat: has the wrong type: it is a whole number, but must be a duration in quotes, as "500ms"`}},
		{"bad duration", "[timing]\nheartbeat = \"500\"\n", []string{`line 2: timing.heartbeat: "500" is not a duration`}},
		{"text for a list", "peers = \"a:1\"\n", []string{"line 1: peers: has the wrong type: it is a text, but must be a list of texts"}},
		{"number in a list", "peers = [1]\n", []string{"line 1: peers: has the wrong type"}},
		{"value for a table", "\nudp = 5\n", []string{"line 2: udp: has the wrong type: it must be a table, as [udp]"}},
		{"table for a value", "[name]\nx = 1\n", []string{"line 1: name: has the wrong type: it is a table"}},
		{"expectation", "bootstrap_expect = 1\n", []string{"line 1: bootstrap_expect: is 1; use 2 to 32, or 0 to found"}},
		{"huge number", "max_voters = 99999999999\n", []string{"line 1: max_voters: 99999999999 is far out of range"}},
		{"out of range", "\n\nmax_voters = 4\n", []string{"line 3: max_voters: is 4; use an odd number"}},
		{"no broker", "transports = [\"udp\", \"mqtt\"]\n", []string{`line 1: transports: "mqtt" needs a broker; set mqtt.brokers`}},
		{"password in the URL", "[mqtt]\nbrokers = [\"mqtt://u:SeCrEt@b\"]\n", []string{"line 2: mqtt.brokers: the URL of broker b holds a user; give it as mqtt.user"}},
		{"scrapers from everywhere", "[metrics]\nlisten = \":9\"\n", []string{"line 2: metrics.listen: \"\" is not a loopback address"}},
		{"dotted under nothing known", "\nfrob.x.y = 1\n", []string{"line 2: frob.x.y: no such key"}},
		{"inline table", "\nudp = { listen = 5 }\n", []string{"line 2: udp.listen: has the wrong type"}},
		{"list of tables", "[[udp]]\nlisten = \":1\"\n", []string{"line 1: udp: has the wrong type: it must be a table"}},
		{"deep nonsense", strings.Repeat("a.", 500) + "a = 1\n", []string{": a.a.a.", "...: no such key"}},
		{"syntax", "name = \"a\"\ncluster = \n", []string{"line 2: "}},
		{"top level below a table", "[log]\nlevel = \"info\"\npeers = [\"a:1\"]\n", []string{"line 3: log.peers: no such key; peers belongs above the first [table] of the file, but stands below [log]"}},
		{"table appended again", "[metrics]\n#listen = \"\"\n[metrics]\nlisten = \"127.0.0.1:9\"\n", []string{"line 3: Key 'metrics' has already been defined. It stands further up in this file: change it there"}},
		{"twice", "name = \"a\"\nname = \"b\"\n", []string{"line 2: "}},
		{"election too short", "[timing]\nheartbeat = \"1s\"\nelection = \"1.9s\"\n", []string{"line 3: timing.election: is 1.9s", "at least 2s"}},
		{"all at once, from the top", "x = 1\ny = 2\nmax_voters = true\n", []string{"line 1: x", "line 2: y", "line 3: max_voters"}},
		{"escapes what a terminal would obey", "\"\\u001b[31m\" = 1\n", []string{`line 1: "\u001b[31m": no such key`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeConfig(t, tt.text)
			_, _, err := Load(Source{Host: userHost(t), File: path})
			if err == nil {
				t.Fatal("no error")
			}
			rest := err.Error()
			if !strings.HasPrefix(rest, path) {
				t.Errorf("the error does not start with the file: %s", rest)
			}
			for _, want := range tt.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("%q is missing, or not in order, in:\n%v", want, err)
				}
				rest = after
			}
		})
	}
}

func TestEnvironmentAndFlagErrors(t *testing.T) {
	tests := []struct {
		name  string
		env   []string
		flags map[string]string
		want  string
	}{
		{"unknown variable", []string{"EDGERAFT_DATADIR=/x"}, nil, "EDGERAFT_DATADIR: no such setting; did you mean EDGERAFT_DATA_DIR?"},
		{"far from any", []string{"EDGERAFT_ZZZZZZ=1"}, nil, "EDGERAFT_ZZZZZZ: no such setting; unset it"},
		{"bad value", []string{"EDGERAFT_MAX_VOTERS=many"}, nil, `EDGERAFT_MAX_VOTERS: max_voters: "many" is not a whole number`},
		{"value out of range", []string{"EDGERAFT_MAX_VOTERS=2"}, nil, "EDGERAFT_MAX_VOTERS: max_voters: is 2"},
		{"bad flag", nil, map[string]string{"udp.listen": "7521"}, `--udp-listen: udp.listen: "7521" is not host:port`},
		{"too many items", nil, map[string]string{"peers": strings.Repeat("a:1,", 300)}, "lists more than"},
		{"config file that is not there", []string{"EDGERAFT_CONFIG=/no/such"}, nil, "read the configuration: open /no/such"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Load(Source{Host: userHost(t, tt.env...), Flags: tt.flags})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	if _, _, err := Load(Source{Host: userHost(t, "EDGERAFT_TEST_ANY=1", "EDGERAFTER=2")}); err != nil {
		t.Errorf("variables that are not ours: %v", err)
	}
}

func TestConfigFileLimits(t *testing.T) {
	path := writeConfig(t, "# "+strings.Repeat("x", maxConfigFile))
	if _, _, err := Load(Source{Host: userHost(t), File: path}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a file over the limit: %v", err)
	}
	var text strings.Builder
	for i := range maxFileProblems + 5 {
		text.WriteString(strings.Repeat("z", i+1) + " = 1\n")
	}
	_, _, err := Load(Source{Host: userHost(t), File: writeConfig(t, text.String())})
	if err == nil || !strings.Contains(err.Error(), "and 5 more") {
		t.Errorf("many problems: %v", err)
	}
}

func TestChecks(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string // "" when it is valid
	}{
		{"long name", func(c *Config) { c.Name = strings.Repeat("n", 65) }, "name: has 65 bytes"},
		{"control character in the name", func(c *Config) { c.Name = "a\nb" }, "name: "},
		{"upper case cluster", func(c *Config) { c.Cluster = "Home" }, "cluster: "},
		{"long cluster", func(c *Config) { c.Cluster = strings.Repeat("c", 33) }, "cluster: "},
		{"long socket", func(c *Config) { c.Socket = "/" + strings.Repeat("s", 107) }, "socket: the path has 108 bytes"},
		{"no transport", func(c *Config) { c.Transports = nil }, "transports: names none"},
		{"a transport twice", func(c *Config) { c.Transports = []string{"udp", "udp"} }, `transports: names "udp" twice`},
		{"another transport", func(c *Config) { c.Transports = []string{"tcp"} }, `transports: "tcp" is not a transport`},
		{"mqtt alone", func(c *Config) { c.Transports, c.MQTT.Brokers = []string{"mqtt"}, []string{"mqtt://b"} }, ""},
		{"no MQTT URL", func(c *Config) { c.MQTT.Brokers = []string{"b:1883"} }, "mqtt.brokers: "},
		{"a path in the URL", func(c *Config) { c.MQTT.Brokers = []string{"mqtt://b/x"} }, "mqtt.brokers: "},
		{"a password without a user", func(c *Config) { c.MQTT.PasswordFile = "/p" }, "mqtt.user: "},
		{"a certificate without a key", func(c *Config) { c.MQTT.CertFile = "/p" }, "mqtt.key_file: "},
		{"half a second of keep-alive", func(c *Config) { c.MQTT.KeepAlive = 500 * time.Millisecond }, "mqtt.keepalive: is 500ms"},
		{"tiny packets", func(c *Config) { c.MQTT.MaxPacket = 100 }, "mqtt.max_packet: is 100"},
		{"any free port", func(c *Config) { c.UDP.Listen = "[::1]:0" }, ""},
		{"host name to listen on", func(c *Config) { c.UDP.Listen = "pi:7521" }, "udp.listen: "},
		{"port out of range", func(c *Config) { c.UDP.Listen = ":65536" }, "udp.listen: "},
		{"interface", func(c *Config) { c.UDP.Interfaces = []string{"eth0", "wlan/1"} }, "udp.interfaces: "},
		{"peer without port", func(c *Config) { c.Peers = []string{"pi"} }, "peers: "},
		{"peer with port 0", func(c *Config) { c.Peers = []string{"pi:0"} }, "peers: "},
		{"peer without host", func(c *Config) { c.Peers = []string{":7521"} }, "peers: "},
		{"peers", func(c *Config) { c.Peers = []string{"pi.local:7521", "[fe80::1%eth0]:7521"} }, ""},
		{"metrics of all", func(c *Config) { c.Metrics.Listen = "0.0.0.0:9" }, "metrics.listen: \"0.0.0.0\" is not a loopback address"},
		{"metrics of a name", func(c *Config) { c.Metrics.Listen = "device:9" }, "metrics.listen: \"device\" is not a loopback address"},
		{"metrics without port", func(c *Config) { c.Metrics.Listen = "127.0.0.1" }, "metrics.listen: "},
		{"discovery", func(c *Config) { c.Discovery = "on" }, "discovery: \"on\" is not possible; use one of mdns, off"},
		{"join", func(c *Config) { c.Join = "" }, "join: "},
		{"adaptive window", func(c *Config) { c.Flash.CommitWindow = "adaptive" }, ""},
		{"long window", func(c *Config) { c.Flash.CommitWindow = "3s" }, `flash.commit_window: "3s" is not adaptive`},
		{"no window", func(c *Config) { c.Flash.CommitWindow = "fast" }, `flash.commit_window: "fast" is not adaptive`},
		{"fast heartbeat", func(c *Config) { c.Timing.Heartbeat = time.Millisecond }, "timing.heartbeat: is 1ms"},
		{"election as short as can be", func(c *Config) { c.Timing.Election = time.Second }, ""},
		{"commands over the contract's limit", func(c *Config) { c.Limits.CommandBytes = 1<<20 + 1 }, "limits.command_bytes: "},
		{"little log", func(c *Config) { c.Limits.CommandBytes = 1 << 20; c.Limits.LogBytes = 1 << 21 }, "limits.log_bytes: "},
		{"log level", func(c *Config) { c.Log.Level = "loud" }, "log.level: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Default(userHost(t))
			tt.change(&c)
			err := c.Validate()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// FuzzConfigFile: no file may make the loader panic, and one that it accepts
// is valid.
func FuzzConfigFile(f *testing.F) {
	f.Add("name = \"a\"\n[udp]\nlisten = \":1\"\n")
	f.Add("[[udp]]\na.b.\"c\" = {d = [1, [2]]}\n")
	f.Add("peers = [\n{},\n]")
	f.Fuzz(func(t *testing.T, text string) {
		h := Host{Root: true}
		c := Default(h)
		_ = applyTOML(&c, map[string]string{}, "f", text)
		_ = c.Validate()
	})
}
