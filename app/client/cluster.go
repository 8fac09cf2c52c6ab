package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/edgeraft/edgeraft/app/api"
)

// Status tells all about the device and its cluster, also while there is no
// key, no cluster and no leader.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	var status api.Status
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/status"}, &status)
	return status, err
}

// Members lists the members as this device sees them.
func (c *Client) Members(ctx context.Context) (api.Members, error) {
	var members api.Members
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/members"}, &members)
	return members, err
}

// AddMember admits a device as a learner. The name is a label and may be
// empty.
func (c *Client) AddMember(ctx context.Context, id, name string) error {
	body, err := json.Marshal(api.MemberRequest{ID: id, Name: name})
	if err != nil {
		return fmt.Errorf("encoding the member: %w", err)
	}
	return c.changeMember(ctx, call{method: http.MethodPost, path: "/v1/members", body: body})
}

// PromoteMember gives a learner a vote.
func (c *Client) PromoteMember(ctx context.Context, id string) error {
	return c.changeMember(ctx, memberCall(http.MethodPost, id, "/promote"))
}

// DemoteMember takes a voter's vote; it stays as a learner.
func (c *Client) DemoteMember(ctx context.Context, id string) error {
	return c.changeMember(ctx, memberCall(http.MethodPost, id, "/demote"))
}

// RemoveMember takes a device out of the cluster.
func (c *Client) RemoveMember(ctx context.Context, id string) error {
	return c.changeMember(ctx, memberCall(http.MethodDelete, id, ""))
}

// Transfer hands leadership to a voter, or for "" to whom the leader chooses,
// and returns the ID of the new leader once one is known.
func (c *Client) Transfer(ctx context.Context, id string) (string, error) {
	r := call{method: http.MethodPost, path: "/v1/transfer", changes: true}
	if id != "" {
		r = memberCall(http.MethodPost, id, "/lead")
		r.changes = true
	}
	var changed api.MemberChanged
	err := c.json(ctx, r, &changed)
	return changed.ID, err
}

// Init founds a new cluster on this device and returns its key.
func (c *Client) Init(ctx context.Context) (api.Setup, error) {
	var setup api.Setup
	err := c.json(ctx, call{method: http.MethodPost, path: "/v1/init", changes: true}, &setup)
	return setup, err
}

// Join gives this device a cluster's key, so that it joins.
func (c *Client) Join(ctx context.Context, key string) (api.Setup, error) {
	body, err := json.Marshal(api.JoinRequest{Key: key})
	if err != nil {
		return api.Setup{}, fmt.Errorf("encoding the key: %w", err)
	}
	var setup api.Setup
	err = c.json(ctx, call{method: http.MethodPost, path: "/v1/join", body: body, changes: true}, &setup)
	return setup, err
}

// Healthy returns nil if the agent is alive and well (GET /healthz).
func (c *Client) Healthy(ctx context.Context) error {
	return c.json(ctx, call{method: http.MethodGet, path: "/healthz"}, &api.Health{})
}

// Ready returns nil if the agent belongs to a cluster and knows its leader
// (GET /readyz).
func (c *Client) Ready(ctx context.Context) error {
	return c.json(ctx, call{method: http.MethodGet, path: "/readyz"}, &api.Health{})
}

func (c *Client) changeMember(ctx context.Context, r call) error {
	r.changes = true
	return c.json(ctx, r, &api.MemberChanged{})
}

func memberCall(method, id, action string) call {
	return call{
		method:      method,
		path:        "/v1/members/" + id + action,
		escapedPath: "/v1/members/" + url.PathEscape(id) + action,
	}
}
