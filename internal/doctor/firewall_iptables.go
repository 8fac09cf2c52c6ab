package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// iptablesChains adds what a command printed (iptables-save(8)), as far as it matters
// to a packet.
func iptablesChains(chains map[string]*chain, command, text string, p packet) {
	table, only, called := "", "ip", "iptables"
	if strings.HasPrefix(command, "ip6") {
		only, called = "ip6", "ip6tables"
	}
	key := func(name string) string { return fmt.Sprintf("%s %s %s", command, table, name) }
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case table == "nat": // it drops nothing that matters
		case strings.HasPrefix(line, ":"):
			name, rest, _ := strings.Cut(line[1:], " ")
			hook := name == "INPUT" || name == "PREROUTING"
			chains[key(name)] = &chain{name: called + ", chain " + name, only: only, hook: hook, drops: strings.HasPrefix(rest, "DROP"),
				insert: "sudo " + strings.TrimSuffix(command, "-save") + " -t " + table + " -I " + name + " -p udp --dport %d -j ACCEPT"}
		case strings.HasPrefix(line, "-A "):
			f := strings.Fields(line)
			if len(f) < 2 || chains[key(f[1])] == nil {
				continue
			}
			r := iptablesRule(f[2:], p)
			if r.verdict == jump || r.verdict == gone {
				r.chain = key(r.chain)
			}
			c := chains[key(f[1])]
			c.rules = append(c.rules, r)
		}
	}
}

// iptablesRule reads the words of one rule.
func iptablesRule(words []string, p packet) rule {
	r := rule{fits: yes, text: strings.Join(words, " ")}
	words = withoutComment(words)
	inverted := false
	for i := 0; i < len(words); i += 2 {
		if words[i] == "!" {
			inverted = true
			i++
		}
		if i+1 >= len(words) {
			break
		}
		if words[i] == "-j" || words[i] == "-g" {
			r.target(words[i+1], words[i] == "-g")
			return r // what follows belongs to the target
		}
		a := iptablesMatch(words[i], words[i+1], p)
		if inverted && a != maybe {
			a = yes - a
		}
		r.fits, inverted = r.fits.and(a), false
	}
	return r
}

// target sets what a rule does with a packet that fits.
func (r *rule) target(name string, leaves bool) {
	switch name {
	case "ACCEPT":
		r.verdict = accept
	case "DROP", "REJECT":
		r.verdict = drop
	case "RETURN":
		r.verdict = back
	case "LOG", "NFLOG", "MARK", "CONNMARK", "CT", "NOTRACK", "TRACE", "SET", "TOS", "DSCP":
	default:
		r.verdict, r.chain = jump, name
		if leaves {
			r.verdict = gone
		}
	}
}

// iptablesMatch is whether one condition fits.
func iptablesMatch(option, value string, p packet) answer {
	switch option {
	case "-p":
		return is(slices.Contains([]string{"udp", "17", "all", "0"}, value))
	case "-i":
		switch {
		case p.device != "":
			return is(value == p.device)
		case value == "lo":
			return no
		}
	case "-d":
		if p.multicast() && value == mdnsGroup+"/32" {
			return yes
		}
	case "--dst-type":
		return is(value == "LOCAL" && !p.multicast() || value == "MULTICAST" && p.multicast())
	case "--dport", "--destination-port":
		return is(portIn(value, p.port))
	case "--dports", "--destination-ports":
		return is(slices.ContainsFunc(strings.Split(value, ","), func(x string) bool { return portIn(x, p.port) }))
	case "--ctstate", "--state":
		return is(slices.Contains(strings.Split(value, ","), "NEW"))
	case "-m", "--match":
		if slices.Contains([]string{"udp", "tcp", "multiport", "conntrack", "state", "comment", "addrtype"}, value) {
			return yes
		}
	}
	return maybe // -s, --limit and what is to come
}

// withoutComment leaves out a comment, which may have spaces between quotes.
func withoutComment(words []string) []string {
	at := slices.Index(words, "--comment")
	if at < 0 || at+1 >= len(words) {
		return words
	}
	end := at + 1
	if strings.HasPrefix(words[end], `"`) {
		for end+1 < len(words) && !strings.HasSuffix(words[end], `"`) {
			end++
		}
	}
	return slices.Concat(words[:at], words[end+1:])
}

func is(b bool) answer {
	if b {
		return yes
	}
	return no
}

// portIn reports whether a port is in "53" or "7000:8000".
func portIn(text string, port int) bool {
	from, to, isRange := strings.Cut(text, ":")
	if !isRange {
		to = from
	}
	low, err := strconv.Atoi(from)
	high, err2 := strconv.Atoi(to)
	return err == nil && err2 == nil && port >= low && port <= high
}
