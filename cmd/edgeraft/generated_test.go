package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/internal/config"
)

// Files that are made from the tables of settings and commands, and kept beside
// them, so that a reader of the repository and the package have them:
// `go test ./cmd/edgeraft -run Generated -update` makes them anew.

var update = flag.Bool("update", false, "write the generated files anew")

// packaged is a device on which the package was installed.
var packaged = config.Host{Root: true, Name: "HOSTNAME"}

// settingNotes says more about a setting than its help. A setting without a row
// has no more to be said.
var settingNotes = map[string]string{
	"name":                        "The default is the host name. A label only: a device is known by its ID, so names may be the same or change.",
	"cluster":                     "1 to 32 of a-z, 0-9 and -. All devices of a cluster have the same, and the same key.",
	"data_dir":                    "Its file system must support mmap and fsync. For one elsewhere than below /var/lib/edgeraft the unit needs a drop-in with ReadWritePaths=.",
	"socket":                      "It has mode 0660 and the group edgeraft: programs that may use it join that group.",
	"key_file":                    "Mode 0600. `edgeraft init` and `edgeraft join` write it.",
	"udp.listen":                  "An empty address means all addresses, IPv4 and IPv6. Port 0 is any free one, which then only discovery tells the others.",
	"udp.interfaces":              "Discovery only: packets to devices that are known go wherever the routes lead.",
	"peers":                       "Where multicast does not get through. One that is in the cluster is enough; it tells the others.",
	"discovery":                   "off leaves only peers.",
	"join":                        "manual: devices with the key wait until `edgeraft members add ID` lets them in.",
	"bootstrap_expect":            "0, or 2 to 32. For devices that are flashed from one image: the same on all, and the key too. Flash fewer than twice as many before there is a cluster, or two could come of it. Further ones join.",
	"max_voters":                  "1 to 9. Devices beyond that are learners, which hold the whole state, and take the place of voters that are gone.",
	"dead_after":                  "At least 4 times timing.election. Only while a quorum lives, and where a learner stands ready. The dead voter becomes a learner, and gets a vote again when it returns and one is free.",
	"timing.heartbeat":            "20ms to 1m. Alike on all devices. Each costs a packet to each member, and one back.",
	"timing.election":             "At least twice the heartbeat. Alike on all devices. Shorter: a dead leader is missed sooner; longer: fewer elections where packets get lost.",
	"flash.commit_window":         "0s writes at once. A time of up to 2s, or adaptive, lets writes wait for each other: fewer of them, later answers.",
	"limits.command_bytes":        "Up to 1048576. Alike on all devices.",
	"limits.log_bytes":            "At a quarter of it a snapshot takes the place of what was applied. At the limit nothing more is committed. If this is raised, so must be MemoryMax= and GOMEMLIMIT= of the service.",
	"limits.watch_history_bytes":  "A watcher that resumes from further back gets the error \"compacted\".",
	"limits.watch_history_events": "Likewise.",
	"metrics.listen":              "Such as 127.0.0.1:7522. Whoever can connect is answered, so other addresses are refused.",
	"log.level":                   "The only setting that `systemctl reload edgeraft` applies.",
}

// generated are the files, below the root of the repository, and what makes them.
var generated = map[string]func(*testing.T) []byte{
	"docs/configuration.md":   func(*testing.T) []byte { return configurationPage() },
	"packaging/edgeraft.toml": func(*testing.T) []byte { return defaultFile() },
	"packaging/edgeraft.1":    manPage,
}

func TestGenerated(t *testing.T) {
	for name, make := range generated {
		path := filepath.Join("../..", filepath.FromSlash(name))
		want := make(t)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what the tables say (%v): go test ./cmd/edgeraft -run Generated -update", name, err)
		}
	}
	for key := range settingNotes {
		if _, ok := config.FindSetting(key); !ok {
			t.Errorf("there is a note on %s, which is no setting", key)
		}
	}
}

// TestDefaultFile loads the packaged file as it is and with everything in it
// uncommented: both are the defaults.
func TestDefaultFile(t *testing.T) {
	file := string(defaultFile())
	var all strings.Builder
	for line := range strings.Lines(file) {
		if setting, commented := strings.CutPrefix(line, "#"); commented && strings.Contains(setting, " = ") && !strings.HasPrefix(setting, " ") {
			line = setting
		}
		all.WriteString(line)
	}
	want := config.Default(packaged)
	for name, text := range map[string]string{"as packaged": file, "uncommented": all.String()} {
		path := filepath.Join(t.TempDir(), "edgeraft.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, origins, err := config.Load(config.Source{Host: packaged, File: path})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, s := range config.Settings {
			if s.Text(&got) != s.Text(&want) {
				t.Errorf("%s: %s is %q, want %q", name, s.Key, s.Text(&got), s.Text(&want))
			}
		}
		if set := len(origins); name == "as packaged" && set != 0 || name != "as packaged" && set != len(config.Settings) {
			t.Errorf("%s: the file sets %d of %d settings", name, set, len(config.Settings))
		}
	}
}

// tomlValue is a setting's value as the file has it.
func tomlValue(s config.Setting, c *config.Config) string {
	switch p := s.Field(c).(type) {
	case *int:
		return fmt.Sprint(*p)
	case *[]string:
		items := make([]string, len(*p))
		for i, item := range *p {
			items[i] = fmt.Sprintf("%q", item)
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprintf("%q", s.Text(c))
}

// tables lists the settings of each table of the file, those of none first.
func tables() (names []string, byTable map[string][]config.Setting) {
	byTable = map[string][]config.Setting{}
	for _, s := range config.Settings {
		table := s.Key[:max(strings.LastIndex(s.Key, "."), 0)]
		if !slices.Contains(names, table) {
			names = append(names, table)
		}
		byTable[table] = append(byTable[table], s)
	}
	slices.SortStableFunc(names, func(a, b string) int { return len(a[:min(len(a), 1)]) - len(b[:min(len(b), 1)]) })
	return names, byTable
}

func defaultFile() []byte {
	var out bytes.Buffer
	out.WriteString("# Configuration of the edgeraft agent. Everything has a default, which stands\n" +
		"# here behind a #; a device needs none of it. After a change:\n" +
		"#   systemctl restart edgeraft\n")
	defaults := config.Default(packaged)
	names, byTable := tables()
	for _, table := range names {
		if table != "" {
			fmt.Fprintf(&out, "\n[%s]\n", table)
		}
		for _, s := range byTable[table] {
			out.WriteString("\n")
			for _, line := range wrapped(sentence(s.Help)+" "+settingNotes[s.Key], 76) {
				fmt.Fprintf(&out, "# %s\n", line)
			}
			fmt.Fprintf(&out, "#%s = %s\n", s.Key[strings.LastIndex(s.Key, ".")+1:], tomlValue(s, &defaults))
		}
	}
	return out.Bytes()
}

func sentence(text string) string {
	text = strings.TrimSuffix(text, ".") + "."
	first, _, _ := strings.Cut(text, " ")
	if strings.ContainsAny(first, ":,") || strings.HasPrefix(text, first+" or ") {
		return text // it begins with a value
	}
	return capitalised(text)
}

// wrapped breaks text into lines of about so many characters.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	return append(lines, line)
}

func configurationPage() []byte {
	var out bytes.Buffer
	out.WriteString("# Configuration\n\n" +
		"<!-- Made from the table in internal/config/settings.go: go test ./cmd/edgeraft -run Generated -update -->\n\n" +
		"Everything has a default, and a device needs none of this. A setting can be in the file `/etc/edgeraft/edgeraft.toml`\n" +
		"(`--config`, `EDGERAFT_CONFIG`), in the environment, or a flag of `edgeraft run`; flags win over the environment, and that over\n" +
		"the file. What is unknown or out of its limits is an error that names the line, the variable or the flag. The key `udp.listen`\n" +
		"is `listen` in the table `[udp]` of the file. Times have a unit, such as `500ms`; lists are `[\"a\", \"b\"]` in the file, and\n" +
		"`a,b` elsewhere. After a change: `systemctl restart edgeraft`; `systemctl reload edgeraft` is enough for `log.level`.\n\n" +
		"The defaults are those of the packaged agent. For an ordinary user who runs an agent of their own the data are in\n" +
		"`$XDG_STATE_HOME/edgeraft`, the socket in `$XDG_RUNTIME_DIR/edgeraft`, key and file in `$XDG_CONFIG_HOME/edgeraft`.\n\n" +
		"| setting | default | environment | flag |\n| --- | --- | --- | --- |\n")
	defaults := config.Default(packaged)
	for _, s := range config.Settings {
		fmt.Fprintf(&out, "| [`%s`](#%s) | `%s` | `%s` | `--%s` |\n", s.Key, anchor(s.Key), tomlValue(s, &defaults), s.EnvName(), s.FlagName())
	}
	for _, s := range config.Settings {
		fmt.Fprintf(&out, "\n### %s\n\n%s", s.Key, sentence(s.Help))
		if note := settingNotes[s.Key]; note != "" {
			out.WriteString(" " + note)
		}
		out.WriteString("\n")
	}
	return out.Bytes()
}

// anchor is what a heading is linked by.
func anchor(key string) string { return strings.ReplaceAll(key, ".", "") }

// roff escapes text for a man page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "`", "").Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func manPage(t *testing.T) []byte {
	var out bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	p(".\\\" Made from the tables of commands and settings: go test ./cmd/edgeraft -run Generated -update")
	p(".TH EDGERAFT 1 \"\" edgeraft \"User Commands\"\n.SH NAME\nedgeraft \\- Raft agent that makes small devices agree")
	p(".SH SYNOPSIS\n.B edgeraft\n.I command\n.RI [ flags ]\n.SH DESCRIPTION")
	p("A few small devices in one building agree on an ordered, durable list of commands and on a key/value state, as long as a majority of them lives. " +
		"The agent runs as the service edgeraft on each. The first device founds the cluster with\n.BR \"edgeraft init\" ,\n" +
		"which prints the line to type on the others; they find each other by multicast DNS.")
	p(".SH COMMANDS")
	for i := range commands {
		c := &commands[i]
		p(".SS %s", roff(strings.TrimSpace("edgeraft "+c.name+" "+c.args)))
		p("%s", roff(sentence(c.summary)))
		for line := range strings.SplitSeq(c.details, "\n") {
			if line != "" {
				p("%s", roff(line))
			}
		}
		for _, f := range flagsOf(c) {
			if _, ok := settingOfFlag(f.Name); ok && c.scope.settings() {
				continue // all settings are below
			}
			value, usage := flag.UnquoteUsage(f)
			p(".TP\n.B %s\n%s", roff(strings.TrimSpace("--"+f.Name+" "+strings.ToUpper(value))), roff(sentence(usage)))
		}
		p(".PP\nExample:\n.PP\n.nf\n.RS")
		for line := range strings.SplitSeq(c.example, "\n") {
			p("%s", roff(line))
		}
		p(".RE\n.fi")
	}
	p(".SH SETTINGS\nIn the file, here by their names, in the environment or as flags of\n.BR \"edgeraft run\" .")
	defaults := config.Default(packaged)
	for _, s := range config.Settings {
		p(".TP\n.B %s\n%s", roff(s.Key), roff(sentence(s.Help)+" "+settingNotes[s.Key]))
		p("%s", roff(fmt.Sprintf("Default: %s; %s, --%s.", tomlValue(s, &defaults), s.EnvName(), s.FlagName())))
	}
	p(".SH EXIT STATUS\n0 done, 1 the answer is no, 2 wrong usage or configuration, 3 the agent can't be reached.")
	p(".SH FILES\n.TP\n.I /etc/edgeraft/edgeraft.toml\nThe configuration.\n.TP\n.I /etc/edgeraft/cluster.key\nThe cluster's key. Secret.")
	p(".TP\n.I /var/lib/edgeraft\nThe database.\n.TP\n.I /run/edgeraft/edgeraft.sock\nThe socket, for members of the group edgeraft.")
	p(".SH SEE ALSO\n.BR systemctl (1),\n.I /usr/share/doc/edgeraft")
	return out.Bytes()
}

func settingOfFlag(name string) (config.Setting, bool) {
	i := slices.IndexFunc(config.Settings, func(s config.Setting) bool { return s.FlagName() == name })
	if i < 0 {
		return config.Setting{}, false
	}
	return config.Settings[i], true
}

// TestEveryCommandInManPage guards against a page that is generated, but empty.
func TestEveryCommandInManPage(t *testing.T) {
	page := string(manPage(t))
	for i := range commands {
		if !strings.Contains(page, ".SS "+roff("edgeraft "+commands[i].name)) {
			t.Errorf("the command %s is not in the man page", commands[i].name)
		}
	}
	var out bytes.Buffer
	if code := run(context.Background(), []string{"help"}, nil, &out, &out, nil); code != exitDone {
		t.Fatal(out.String())
	}
}
