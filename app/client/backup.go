package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// BackupOptions alters a Backup.
type BackupOptions struct {
	// Stale takes the state of this device as it is, also while it is cut off.
	Stale bool
	// Timeout is how long the agent waits for the cluster; 0: its own default.
	Timeout time.Duration
}

// Backup returns a backup file as a stream, and its size in bytes. What was
// read is whole only if a backup.Reader, or the command restore --check, says so:
// the caller reads all of it, and closes it.
func (c *Client) Backup(ctx context.Context, opts BackupOptions) (io.ReadCloser, int64, error) {
	q := url.Values{}
	if opts.Stale {
		q.Set("consistency", "stale")
	}
	if opts.Timeout > 0 {
		q.Set("timeout", opts.Timeout.String())
	}
	resp, err := c.send(ctx, call{method: http.MethodGet, path: "/v1/backup", query: q})
	if err != nil {
		return nil, 0, err
	}
	return resp.Body, resp.ContentLength, nil
}

// Restore puts the state of a backup file, of so many bytes, in the place of the
// cluster's, on all devices. It is read as fast as the cluster takes it. When
// ErrInterrupted is returned the state may have been replaced or not; no part of
// it is.
func (c *Client) Restore(ctx context.Context, file io.Reader, size int64) (api.Restored, error) {
	var restored api.Restored
	err := c.json(ctx, call{
		method: http.MethodPost, path: "/v1/restore", stream: file, streamBytes: size, changes: true,
	}, &restored)
	return restored, err
}
