package doctor

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

var (
	agentPacket = packet{7521, "the agent's", ""}
	mdnsPacket  = packet{portMDNS, "mDNS", ""}
)

// nftText makes what nft prints of one table inet filter with an input chain and a
// chain called more.
func nftText(policy string, input, more []string) string {
	all := []string{`{"metainfo":{"version":"1.0.6"}}`, `{"table":{"family":"inet","name":"filter"}}`,
		`{"chain":{"family":"inet","table":"filter","name":"input","type":"filter","hook":"input","prio":0,"policy":"` + policy + `"}}`,
		`{"chain":{"family":"inet","table":"filter","name":"more"}}`}
	for chain, rules := range map[string][]string{"input": input, "more": more} {
		for _, r := range rules {
			all = append(all, `{"rule":{"family":"inet","table":"filter","chain":"`+chain+`","expr":[`+r+`]}}`)
		}
	}
	return `{"nftables":[` + strings.Join(all, ",") + `]}`
}

const (
	established = `{"match":{"op":"in","left":{"ct":{"key":"state"}},"right":["established","related"]}},{"accept":null}`
	loopback    = `{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"lo"}},{"accept":null}`
	lan         = `{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":{"prefix":{"addr":"10.0.0.0","len":8}}}},{"accept":null}`
	eth0        = `{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"eth0"}},{"accept":null}`
	ssh         = `{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":22}},{"accept":null}`
	ours        = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"set":[5353,7521]}}},{"counter":{"packets":0,"bytes":0}},{"accept":null}`
	ranged      = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":{"range":[7000,8000]}}},{"accept":null}`
	named       = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":"@allowed"}},{"accept":null}`
	against     = `{"match":{"op":"==","left":{"payload":{"protocol":"udp","field":"dport"}},"right":7521}},{"reject":{"type":"icmpx"}}`
	notOurs     = `{"match":{"op":"!=","left":{"payload":{"protocol":"udp","field":"dport"}},"right":7521}},{"drop":null}`
	onlyTCP     = `{"match":{"op":"==","left":{"meta":{"key":"l4proto"}},"right":"tcp"}},{"drop":null}`
	seldom      = `{"limit":{"rate":10,"per":"second"}},{"accept":null}`
	states      = `{"vmap":{"key":{"ct":{"key":"state"}},"data":{"set":[["established",{"accept":null}],["invalid",{"drop":null}]]}}}`
	zones       = `{"vmap":{"key":{"meta":{"key":"iifname"}},"data":{"set":[["eth0",{"jump":{"target":"more"}}]]}}}`
	toMore      = `{"jump":{"target":"more"}}`
	goMore      = `{"goto":{"target":"more"}}`
	dropAll     = `{"drop":null}`
	returns     = `{"return":null}`
	multicasts  = `{"match":{"op":"==","left":{"meta":{"key":"pkttype"}},"right":"multicast"}},{"drop":null}`
)

func TestFirewallNft(t *testing.T) {
	type rules = []string
	for name, c := range map[string]struct {
		policy      string
		input, more rules
		want        Level // of the agent's port
	}{
		"nothing":            {"accept", nil, nil, OK},
		"policy":             {"drop", rules{established, loopback, ssh, states}, nil, Warning},
		"let in":             {"drop", rules{established, loopback, ours}, nil, OK},
		"a range":            {"drop", rules{ranged}, nil, OK},
		"a set by name":      {"drop", rules{named}, nil, Note},
		"perhaps the subnet": {"drop", rules{lan}, nil, Note},
		"perhaps this link":  {"drop", rules{eth0}, nil, Note},
		"now and then":       {"drop", rules{seldom}, nil, Note},
		"zones":              {"drop", rules{zones}, rules{ours}, Note},
		"rejected":           {"accept", rules{against}, nil, Warning},
		"rejected too late":  {"accept", rules{ours, against}, nil, OK},
		"others dropped":     {"accept", rules{notOurs}, nil, OK},
		"TCP dropped":        {"accept", rules{onlyTCP, multicasts}, nil, OK},
		"in a chain":         {"drop", rules{toMore}, rules{ours}, OK},
		"dropped in a chain": {"accept", rules{toMore}, rules{established, dropAll}, Warning},
		"back from a chain":  {"accept", rules{toMore}, rules{returns, dropAll}, OK},
		"gone to a chain":    {"accept", rules{goMore, dropAll}, rules{established}, OK},
		"an endless chain":   {"accept", rules{toMore}, rules{toMore}, Note},
	} {
		fs := judgeFirewall(ruleset{looked: true, nft: nftText(c.policy, c.input, c.more)}, []packet{agentPacket})
		if len(fs) != 1 || fs[0].Level != c.want || fs[0].Level == Warning && !strings.Contains(fs[0].Command, "7521") {
			t.Errorf("%s: %+v, want %s", name, fs, c.want)
		}
	}
	fs := judgeFirewall(ruleset{looked: true, nft: nftText("drop", nil, nil)}, []packet{agentPacket})
	if want := "sudo nft insert rule inet filter input udp dport 7521 accept"; fs[0].Command != want {
		t.Errorf("%+v, want %s", fs, want)
	}
	fs = judgeFirewall(ruleset{looked: true, iptables: map[string]string{"iptables-save": "*filter\n:INPUT DROP [0:0]\n"}}, []packet{agentPacket})
	if want := "sudo iptables -t filter -I INPUT -p udp --dport 7521 -j ACCEPT"; fs[0].Command != want {
		t.Errorf("%+v, want %s", fs, want)
	}
	one := agentPacket
	one.device = "eth0"
	if fs := judgeFirewall(ruleset{looked: true, nft: nftText("drop", []string{eth0}, nil)}, []packet{one}); fs[0].Level != OK {
		t.Errorf("the only link: %+v", fs)
	}
	fs = judgeFirewall(ruleset{looked: true, nft: nftText("accept", []string{multicasts, against}, nil)}, []packet{agentPacket, mdnsPacket})
	if len(fs) != 2 || Worst(fs) != Warning {
		t.Errorf("both: %+v", fs)
	}
	if fs := judgeFirewall(ruleset{looked: true, nft: "{"}, []packet{agentPacket}); fs[0].Level != Note {
		t.Errorf("nonsense: %+v", fs)
	}
	six := strings.ReplaceAll(nftText("drop", nil, nil), "inet", "ip6")
	if fs := judgeFirewall(ruleset{looked: true, nft: six}, []packet{agentPacket}); fs[0].Level != Note || !strings.Contains(fs[0].Text, "only by IPv6") {
		t.Errorf("of IPv6: %+v", fs)
	}
	four := strings.ReplaceAll(nftText("drop", nil, nil), "inet", "ip")
	if fs := judgeFirewall(ruleset{looked: true, nft: four}, []packet{agentPacket}); fs[0].Level != Warning {
		t.Errorf("of IPv4: %+v", fs)
	}
	if fs := judgeFirewall(ruleset{looked: true, nft: four, iptables: map[string]string{"iptables-save": ""}}, []packet{agentPacket}); fs[0].Level != OK {
		t.Errorf("what iptables tells better: %+v", fs)
	}
	bridge := strings.ReplaceAll(nftText("drop", nil, nil), "inet", "bridge")
	if fs := judgeFirewall(ruleset{looked: true, nft: bridge}, []packet{agentPacket}); fs[0].Level != OK {
		t.Errorf("of a bridge: %+v", fs)
	}
}

// What ufw makes, cut short.
const ufwSave = `# Generated by iptables-save
*nat
:PREROUTING DROP [0:0]
COMMIT
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:ufw-before-input - [0:0]
:ufw-not-local - [0:0]
:ufw-user-input - [0:0]
-A INPUT -j ufw-before-input
-A INPUT -j ufw-user-input
-A ufw-before-input -i lo -j ACCEPT
-A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw-before-input -p udp -m udp --sport 67 --dport 68 -j ACCEPT
-A ufw-before-input -j ufw-not-local
-A ufw-before-input -d 224.0.0.251/32 -p udp -m udp --dport 5353 -j ACCEPT
-A ufw-not-local -m addrtype --dst-type LOCAL -j RETURN
-A ufw-not-local -m addrtype --dst-type MULTICAST -j RETURN
-A ufw-not-local -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-not-local -j DROP
-A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT
RULES
COMMIT
`

func TestFirewallIptables(t *testing.T) {
	for name, c := range map[string]struct {
		rules       string
		agent, mdns Level
	}{
		"ufw":           {"", Warning, OK},
		"ufw, let in":   {"-A ufw-user-input -p udp -m udp --dport 7521 -j ACCEPT", OK, OK},
		"several":       {"-A ufw-user-input -p udp -m multiport --dports 53,7000:8000 -j ACCEPT", OK, OK},
		"not others":    {"-A ufw-user-input ! -p tcp -m comment --comment \"a long one\" -j ACCEPT", OK, OK},
		"perhaps":       {"-A ufw-user-input -s 10.0.0.0/8 -j ACCEPT", Note, OK},
		"to nowhere":    {"-A ufw-user-input -j unheard-of", Note, OK},
		"cut off":       {"-A ufw-user-input -p", Warning, OK},
		"of all":        {"-A INPUT -j ACCEPT", OK, OK},
		"of none":       {"-A INPUT -p udp -j REJECT --reject-with icmp-port-unreachable", Warning, OK},
		"then accepted": {"-A INPUT -m state --state NEW -j ACCEPT", OK, OK},
	} {
		r := ruleset{looked: true, front: "ufw", iptables: map[string]string{"iptables-save": strings.Replace(ufwSave, "RULES", c.rules, 1)}}
		for p, want := range map[packet]Level{agentPacket: c.agent, mdnsPacket: c.mdns} {
			fs := judgeFirewall(r, []packet{p})
			if len(fs) != 1 || fs[0].Level != want || want == Warning && fs[0].Command != "sudo ufw allow 7521/udp" {
				t.Errorf("%s, port %d: %+v, want %s", name, p.port, fs, want)
			}
		}
	}
}

// What could not be looked at is said.
func TestFirewallNotLooked(t *testing.T) {
	for name, c := range map[string]struct {
		r ruleset
		want
	}{
		"no root":     {ruleset{denied: true}, want{Note, "sudo edgeraft doctor"}},
		"no commands": {ruleset{}, want{OK, "hardly any"}},
		"ufw alone":   {ruleset{front: "ufw"}, want{Note, "ufw allow 7521/udp"}},
		"firewalld":   {ruleset{front: "firewalld"}, want{Note, "--add-port=7521/udp"}},
		// As in a container: what nft would tell is not known, and the rest is empty.
		"half of it": {ruleset{denied: true, looked: true, iptables: map[string]string{"iptables-legacy-save": ""}}, want{Note, "could not be told"}},
	} {
		c.holds(t, name, judgeFirewall(c.r, []packet{agentPacket})[0])
	}
}

func TestReadRules(t *testing.T) {
	commands := map[string]string{"nft": nftText("drop", nil, nil)}
	h := host{root: t.TempDir(), run: func(_ context.Context, name string, _ ...string) (string, error) {
		if text, ok := commands[name]; ok {
			return text, nil
		}
		return "", exec.ErrNotFound
	}}
	s := Subject{UDP: ":7521", Multicast: true}
	if fs := h.firewall(t.Context(), s); len(fs) != 2 || Worst(fs) != Warning {
		t.Errorf("root: %+v", fs)
	}
	h.uid = 1000
	if fs := h.firewall(t.Context(), s); len(fs) != 1 || fs[0].Level != Note {
		t.Errorf("not root: %+v", fs)
	}
	h.uid = 0
	h.run = func(context.Context, string, ...string) (string, error) {
		return "", errors.New("operation not permitted")
	}
	if fs := h.firewall(t.Context(), s); len(fs) != 1 || fs[0].Level != Note {
		t.Errorf("root without the right: %+v", fs)
	}
}
