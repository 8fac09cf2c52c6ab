package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

// minIDPrefix is how much of an ID must be typed at least, so that a slip of
// the finger names nobody.
const minIDPrefix = 4

const memberDetails = "MEMBER is an ID, the first characters of one, or a name that only one member has,\nas `edgeraft members list` shows them."

var membersListCommand = command{
	name: "members list", scope: scopeAgent, json: true,
	summary: "list the members of the cluster",
	example: "edgeraft members list",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				members, err := agent.Members(ctx)
				if err != nil {
					return err
				}
				if inv.json {
					return inv.sayJSON(members)
				}
				printMembers(inv.stdout, members.Members)
				return nil
			})
		}
	},
}

var membersAddCommand = command{
	name: "members add", args: "ID", min: 1, max: 1, scope: scopeAgent, json: true,
	summary: "admit a device as a learner",
	details: "The ID is the new device's own: its `edgeraft status --json` shows it. Devices that\nhave the key enter by themselves unless join = \"manual\".",
	example: "edgeraft members add k3jd72mqpa4xw5ze --name attic",
	define: func(fs *flag.FlagSet) action {
		name := fs.String("name", "", "a `LABEL` for people")
		return func(ctx context.Context, inv *invocation) error {
			id := inv.args[0]
			if !raft.NodeID(id).Valid() {
				return usageError{fmt.Sprintf("%q is not the ID of a device: it has %d characters of a-z and 2-7", id, raft.NodeIDLen)}
			}
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				if err := agent.AddMember(ctx, id, *name); err != nil {
					return err
				}
				return inv.memberChanged(api.Member{ID: id, Name: *name}, "is a learner now")
			})
		}
	},
}

var membersPromoteCommand = memberCommand("promote", "give a learner a vote", "is a voter now",
	(*client.Client).PromoteMember)

var membersDemoteCommand = memberCommand("demote", "take a voter's vote; it stays as a learner", "is a learner now",
	(*client.Client).DemoteMember)

var membersRemoveCommand = memberCommand("remove", "take a device out of the cluster", "is no member any more",
	(*client.Client).RemoveMember)

var membersTransferCommand = command{
	name: "members transfer", args: "[MEMBER]", max: 1, scope: scopeAgent, json: true,
	summary: "hand leadership to another voter",
	details: "Without MEMBER the leader chooses. " + memberDetails,
	example: "edgeraft members transfer\nedgeraft members transfer attic",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				members, err := agent.Members(ctx)
				if err != nil {
					return err
				}
				var to api.Member
				if len(inv.args) > 0 {
					if to, err = pickMember(members.Members, inv.args[0]); err != nil {
						return err
					}
				}
				id, err := agent.Transfer(ctx, to.ID)
				if err != nil {
					return err
				}
				leader := api.Member{ID: id}
				for _, m := range members.Members {
					if m.ID == id {
						leader = m
					}
				}
				return inv.memberChanged(leader, "leads now")
			})
		}
	},
}

// memberCommand makes a command that changes one present member.
func memberCommand(verb, summary, outcome string, change func(*client.Client, context.Context, string) error) command {
	return command{
		name: "members " + verb, args: "MEMBER", min: 1, max: 1, scope: scopeAgent, json: true,
		summary: summary,
		details: memberDetails,
		example: "edgeraft members " + verb + " attic\nedgeraft members " + verb + " k3jd72mq",
		define: func(*flag.FlagSet) action {
			return func(ctx context.Context, inv *invocation) error {
				return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
					members, err := agent.Members(ctx)
					if err != nil {
						return err
					}
					m, err := pickMember(members.Members, inv.args[0])
					if err != nil {
						return err
					}
					if err := change(agent, ctx, m.ID); err != nil {
						return err
					}
					return inv.memberChanged(m, outcome)
				})
			}
		},
	}
}

func (inv *invocation) memberChanged(m api.Member, outcome string) error {
	if inv.json {
		return inv.sayJSON(api.MemberChanged{ID: m.ID})
	}
	label := show.Printable(m.ID)
	if m.Name != "" {
		label = fmt.Sprintf("%s (%s)", show.Printable(m.Name), label)
	}
	inv.say("%s %s.", label, outcome)
	return nil
}

// pickMember finds the one member that text means. A whole ID goes before
// everything else, so that nobody can hide a member by a name.
func pickMember(members []api.Member, text string) (api.Member, error) {
	var found []api.Member
	for _, m := range members {
		if m.ID == text {
			return m, nil
		}
		if m.Name == text || len(text) >= minIDPrefix && strings.HasPrefix(m.ID, text) {
			found = append(found, m)
		}
	}
	switch len(found) {
	case 0:
		return api.Member{}, fmt.Errorf("no member is %q; see `edgeraft members list`", text)
	case 1:
		return found[0], nil
	}
	ids := make([]string, 0, len(found))
	for _, m := range found {
		ids = append(ids, m.ID)
	}
	return api.Member{}, usageError{fmt.Sprintf("%q could be %s; give the ID", text, strings.Join(ids, " or "))}
}
