package doctor

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// nftChains reads what nft -j list ruleset prints (libnftables-json(5)), as far as it
// matters to a packet. Tables that iptables made are left out where iptables-save
// tells of them more exactly.
func nftChains(text string, p packet, byIptables bool) (map[string]*chain, error) {
	chains := map[string]*chain{}
	if text == "" {
		return chains, nil
	}
	var all struct {
		Nftables []struct {
			Chain *struct {
				Family, Table, Name, Type, Hook, Policy string
			}
			Rule *struct {
				Family, Table, Chain string
				Expr                 []map[string]json.RawMessage
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return nil, err
	}
	key := func(family, table, name string) string { return family + " " + table + " " + name }
	skip := func(family, table string) bool {
		switch family {
		case "inet":
			return false
		case "ip", "ip6":
			return byIptables && slices.Contains([]string{"filter", "mangle", "nat", "raw", "security"}, table)
		}
		return true // bridge, arp and netdev see other packets
	}
	for _, x := range all.Nftables {
		switch {
		case x.Chain != nil && !skip(x.Chain.Family, x.Chain.Table):
			c := x.Chain
			chains[key(c.Family, c.Table, c.Name)] = &chain{
				name:   fmt.Sprintf("table %s %s, chain %s", c.Family, c.Table, c.Name),
				insert: fmt.Sprintf("sudo nft insert rule %s %s %s udp dport %%d accept", c.Family, c.Table, c.Name),
				only:   strings.TrimPrefix(c.Family, "inet"), hook: c.Hook == "input" && c.Type == "filter" || c.Hook == "prerouting" && c.Type == "filter", drops: c.Policy == "drop",
			}
		case x.Rule != nil && !skip(x.Rule.Family, x.Rule.Table):
			r := x.Rule
			c := chains[key(r.Family, r.Table, r.Chain)]
			if c == nil {
				continue // nft lists chains first
			}
			parsed := nftRule(r.Expr, p)
			if parsed.chain != "" {
				parsed.chain = key(r.Family, r.Table, parsed.chain)
			}
			c.rules = append(c.rules, parsed)
		}
	}
	return chains, nil
}

// nftRule reads one rule: matches, all of which must fit, and what it does.
func nftRule(statements []map[string]json.RawMessage, p packet) rule {
	r := rule{fits: yes}
	for _, statement := range statements {
		for kind, body := range statement {
			switch kind {
			case "match":
				r.fits = r.fits.and(nftMatch(body, p))
			case "accept":
				r.verdict = accept
			case "drop", "reject":
				r.verdict, r.text = drop, kind
			case "return":
				r.verdict = back
			case "jump", "goto":
				var to struct{ Target string }
				_ = json.Unmarshal(body, &to) // a chain of no name is not found
				r.verdict, r.chain = jump, to.Target
				if kind == "goto" {
					r.verdict = gone
				}
			case "counter", "log", "comment", "mangle", "notrack", "flow", "set":
			case "vmap":
				r.vmap(body)
			default: // limit, xt, queue and what is to come: it may fit
				r.fits = r.fits.and(maybe)
			}
		}
	}
	return r
}

// vmap reads a map of verdicts: what it does to what is new is told where it goes by
// the state of connections; any other may do anything.
func (r *rule) vmap(body json.RawMessage) {
	var m struct {
		Key  struct{ Ct *struct{ Key string } }
		Data struct{ Set [][]json.RawMessage }
	}
	if json.Unmarshal(body, &m) != nil || m.Key.Ct == nil || m.Key.Ct.Key != "state" {
		r.fits, r.verdict = maybe, jump // to no chain that is known
		return
	}
	for _, pair := range m.Data.Set {
		if len(pair) == 2 && nftHas(pair[0], "new") != no {
			r.fits, r.verdict = maybe, jump
			return
		}
	}
	r.fits = no
}

// nftMatch reads one match: an operator, what it looks at, and what that must be.
func nftMatch(body json.RawMessage, p packet) answer {
	var m struct {
		Op   string
		Left struct {
			Meta    *struct{ Key string }
			Ct      *struct{ Key string }
			Payload *struct{ Protocol, Field string }
		}
		Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return maybe
	}
	fits := maybe
	left := m.Left
	switch {
	case left.Payload != nil && left.Payload.Protocol == "udp" && left.Payload.Field == "dport",
		left.Payload != nil && left.Payload.Protocol == "th" && left.Payload.Field == "dport":
		fits = nftHas(m.Right, float64(p.port))
	case left.Payload != nil && (left.Payload.Protocol == "tcp" || left.Payload.Protocol == "icmp" || left.Payload.Protocol == "icmpv6"):
		return no
	case left.Payload != nil && left.Payload.Field == "protocol", left.Meta != nil && left.Meta.Key == "l4proto":
		fits = nftHas(m.Right, "udp", 17.0)
	case left.Ct != nil && left.Ct.Key == "state":
		fits = nftHas(m.Right, "new")
	case left.Meta != nil && (left.Meta.Key == "iifname" || left.Meta.Key == "iif"):
		if p.device != "" {
			fits = nftHas(m.Right, p.device)
		} else if nftHas(m.Right, "lo") == yes {
			fits = no
		}
	case left.Payload != nil && left.Payload.Field == "daddr" && p.multicast():
		if left.Payload.Protocol == "ip" {
			fits = max(nftHas(m.Right, mdnsGroup), maybe)
		}
	case left.Meta != nil && left.Meta.Key == "pkttype":
		fits = nftHas(m.Right, "host")
		if p.multicast() {
			fits = nftHas(m.Right, "multicast")
		}
	}
	if m.Op == "!=" && fits != maybe {
		return yes - fits
	}
	return fits
}

// nftHas reports whether a value, a set, a list or a range has one of what is wanted.
func nftHas(right json.RawMessage, want ...any) answer {
	var value any
	if json.Unmarshal(right, &value) != nil {
		return maybe
	}
	return has(value, want)
}

func has(value any, want []any) answer {
	switch v := value.(type) {
	case []any:
		best := no
		for _, x := range v {
			best = max(best, has(x, want))
		}
		return best
	case map[string]any:
		if set, ok := v["set"]; ok {
			return has(set, want)
		}
		if r, ok := v["range"].([]any); ok && len(r) == 2 {
			low, ok1 := r[0].(float64)
			high, ok2 := r[1].(float64)
			n, ok3 := want[0].(float64)
			if ok1 && ok2 && ok3 && n >= low && n <= high {
				return yes
			}
			return no
		}
		return maybe
	case string:
		if len(v) > 0 && v[0] == '@' { // a set that has a name
			return maybe
		}
	}
	if slices.Contains(want, value) {
		return yes
	}
	return no
}
