package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/edgeraft/edgeraft/app/api"
)

// Recover makes a cluster of one of what the device has, when the majority of its
// cluster is gone for good. The device then starts anew; for a moment its socket
// is not there.
func (c *Client) Recover(ctx context.Context, r api.RecoverRequest) (api.Recovered, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return api.Recovered{}, fmt.Errorf("encoding the request: %w", err)
	}
	var recovered api.Recovered
	err = c.json(ctx, call{method: http.MethodPost, path: "/v1/recover", body: body, changes: true}, &recovered)
	return recovered, err
}

// StartOver has the device leave the cluster of this UUID, forget all that it has
// stored of it, and join as a new device, with the key that it has or, where it is
// not empty, another one.
func (c *Client) StartOver(ctx context.Context, cluster, key string) (api.Setup, error) {
	body, err := json.Marshal(api.JoinRequest{Key: key, LeaveCluster: cluster})
	if err != nil {
		return api.Setup{}, fmt.Errorf("encoding the request: %w", err)
	}
	var setup api.Setup
	err = c.json(ctx, call{method: http.MethodPost, path: "/v1/join", body: body, changes: true}, &setup)
	return setup, err
}
