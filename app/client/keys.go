package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/edgeraft/edgeraft/app/api"
)

// ChangeKeys takes a step of a rotation of the cluster key.
func (c *Client) ChangeKeys(ctx context.Context, change api.KeyChange) (api.KeyChanged, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return api.KeyChanged{}, fmt.Errorf("encoding the change of keys: %w", err)
	}
	var changed api.KeyChanged
	err = c.json(ctx, call{method: http.MethodPost, path: "/v1/keys", body: body, changes: true}, &changed)
	return changed, err
}
