// Package client talks to an agent of this machine through its socket. The
// command line uses nothing else; Go programs may do the same. Standard
// library only.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// Limits of the client. An agent that answers more is not believed.
const (
	dialTimeout    = 3 * time.Second // a Unix socket answers at once or its queue is full
	maxAnswerBytes = 16 << 20        // beyond this an answer is an error
	maxErrorBytes  = 64 << 10        // of the body of an error; the rest is ignored
	maxIdleConns   = 4               // connections kept open for the next call
	idleTimeout    = 30 * time.Second
)

// Client calls one agent. It is safe for concurrent use. Every method ends
// when its context ends; without a deadline there, the agent's own deadline
// (about 10 s for what needs the cluster) is the only one.
type Client struct {
	socket string
	http   *http.Client
	key    Key // of changes; no text: none
}

// New returns a client of the agent that serves socketPath. It does not
// connect: the first call does, and reports ErrUnreachable if it cannot.
func New(socketPath string) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &Client{
		socket: socketPath,
		http: &http.Client{
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					conn, err := dialer.DialContext(ctx, "unix", socketPath)
					if err != nil && ctx.Err() == nil {
						return nil, &dialError{socket: socketPath, err: err}
					}
					return conn, err
				},
				MaxIdleConns:       maxIdleConns,
				IdleConnTimeout:    idleTimeout,
				DisableCompression: true,
			},
			// The agent never redirects; following one would change the key.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close gives back the connections kept for later calls. The client stays
// usable.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request. path is unescaped and may have any text in it;
// escapedPath is its encoded form where the default one would not do.
type call struct {
	method      string
	path        string
	escapedPath string
	query       url.Values
	body        []byte
	stream      io.Reader // in the place of body, of so many bytes
	streamBytes int64
	accept      string
	changes     bool // a lost answer leaves the outcome unknown
	remembered  bool // with a key: the cluster remembers what became of it
}

// send returns the answer if it is a success; the caller closes its body.
func (c *Client) send(ctx context.Context, r call) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "edgeraft", Path: r.path, RawPath: r.escapedPath, RawQuery: r.query.Encode()}
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(r.body)
	}
	if r.stream != nil {
		body = r.stream
	}
	req, err := http.NewRequestWithContext(ctx, r.method, "http://edgeraft/", body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	if r.stream != nil {
		req.ContentLength = r.streamBytes
	}
	req.URL = &u
	if r.accept != "" {
		req.Header.Set("Accept", r.accept)
	}
	if r.changes && c.key.Text != "" {
		req.Header.Set(api.HeaderKey, c.key.Text)
		if r.remembered && c.key.Since > 0 {
			req.Header.Set(api.HeaderKeySince, strconv.FormatUint(c.key.Since, 10))
		}
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.failure(r, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, answerError(resp)
}

// read is send for calls whose answer is taken whole.
func (c *Client) read(ctx context.Context, r call) ([]byte, http.Header, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, nil, c.failure(r, err)
	}
	if len(body) > maxAnswerBytes {
		return nil, nil, fmt.Errorf("%s %s: the answer is larger than %d bytes", r.method, r.path, maxAnswerBytes)
	}
	return body, resp.Header, nil
}

// json is read for calls whose answer is JSON.
func (c *Client) json(ctx context.Context, r call, answer any) error {
	body, _, err := c.read(ctx, r)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s %s: the answer is not the expected JSON: %w", r.method, r.path, err)
	}
	return nil
}

// failure names what a transport error means for the call.
func (c *Client) failure(r call, err error) error {
	var dial *dialError
	if errors.As(err, &dial) {
		return dial
	}
	// url.Error repeats method and URL, which are made up here.
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if r.changes {
		return fmt.Errorf("%s %s: %w: %w", r.method, r.path, ErrInterrupted, err)
	}
	return fmt.Errorf("%s %s: %w", r.method, r.path, err)
}
