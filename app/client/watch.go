package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/edgeraft/edgeraft/app/api"
)

// maxLineBytes bounds one event: 1 MiB, the largest value there is, in the
// worst escaping of JSON (6 bytes for one), and room for the rest of the line.
const maxLineBytes = 7 << 20

// WatchOptions says what to watch.
type WatchOptions struct {
	// From is the first index wanted, past or future; 0 for only what happens
	// from now on. What is older than the agent's history is an *Error with
	// code "compacted" and ResumeFrom.
	From uint64
	// Prefix, when not empty, leaves only changes of keys that begin with it.
	Prefix string
}

// Watch calls each for every event, in order of index, without gap or repeat,
// until the context ends, each returns an error, or the agent ends the stream;
// it always returns an error. To go on later, resume from the index of the
// last event, plus one if its More was not set. A reader that is slower than
// the changes for long is cut off with an *Error with code "compacted".
func (c *Client) Watch(ctx context.Context, opts WatchOptions, each func(api.Event) error) error {
	return c.WatchLines(ctx, opts, func(line []byte) error {
		var event api.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("watching: a line is not the expected JSON: %w", err)
		}
		return each(event)
	})
}

// WatchLines is Watch with the lines of JSON as they come, without their
// newline. A line is only valid during the call.
func (c *Client) WatchLines(ctx context.Context, opts WatchOptions, each func(line []byte) error) error {
	q := url.Values{}
	if opts.From > 0 {
		q.Set("from", strconv.FormatUint(opts.From, 10))
	}
	if opts.Prefix != "" {
		q.Set("prefix", opts.Prefix)
	}
	return c.lines(ctx, "/v1/watch", q, each)
}

// lines calls each for every line of a stream.
func (c *Client) lines(ctx context.Context, path string, q url.Values, each func(line []byte) error) error {
	r := call{method: http.MethodGet, path: path, query: q, accept: "application/x-ndjson"}
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLineBytes)
	lines.Split(wholeLines)
	for lines.Scan() {
		if err := endOf(lines.Bytes()); err != nil {
			return err
		}
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	err = lines.Err()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("watching: the agent ended the stream; resume after the last event seen: %w", err)
}

// wholeLines splits as bufio.ScanLines does, but does not take for a line what
// a broken connection left of one.
func wholeLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return 0, nil, nil
}

// endOf returns the error that a line carries instead of an event, if any.
func endOf(line []byte) error {
	if !bytes.Contains(line, []byte(`"error"`)) {
		return nil // spares decoding every line twice
	}
	var event api.Event
	if err := json.Unmarshal(line, &event); err != nil || event.Error == nil {
		return nil // an event with that text in its value, or for each to judge
	}
	status := http.StatusServiceUnavailable
	if event.Error.Code == api.CodeCompacted {
		status = http.StatusGone
	}
	return &Error{Status: status, ErrorDetail: *event.Error}
}
