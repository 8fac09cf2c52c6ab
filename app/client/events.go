package client

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/edgeraft/edgeraft/app/api"
)

// Events calls each for how things are (api.EventState), and then for every
// change of role, leader and membership, until the context ends, each returns an
// error, or the agent ends the stream; it always returns an error. After that,
// call it again: nothing that lasts is missed.
func (c *Client) Events(ctx context.Context, each func(api.ClusterEvent) error) error {
	return c.lines(ctx, "/v1/events", nil, func(line []byte) error {
		var event api.ClusterEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("events: a line is not the expected JSON: %w", err)
		}
		return each(event)
	})
}
