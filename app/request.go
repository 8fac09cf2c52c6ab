package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// request is a request whose parts are checked and read.
type request struct {
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	name    string            // the key or the member's ID from the path
	query   map[string]string // the endpoint's parameters that were given
	body    []byte
	timeout time.Duration
	key     string     // the Idempotency-Key; "" for none
	since   raft.Index // Edgeraft-Key-Since; 0 for none
}

// limitBody starts the time that the body has, wanted or not: net/http reads on
// after a refusal.
func (req *request) limitBody() error {
	if req.r.Body == http.NoBody {
		return nil
	}
	return req.control.SetReadDeadline(time.Now().Add(bodyTimeout))
}

// read takes the query and the body, whole and within the limits, so that no
// call begins on half a request.
func (req *request) read(e endpoint, l Limits) error {
	if err := req.readQuery(e.params); err != nil {
		return err
	}
	if err := req.readKey(e.key); err != nil {
		return err
	}
	req.timeout = l.Timeout
	if text, ok := req.query["timeout"]; ok {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > l.MaxTimeout {
			return badRequest("timeout=%s: give a duration such as 5s, of at most %v", text, l.MaxTimeout)
		}
		req.timeout = d
	}
	if e.stream {
		return nil
	}
	limit := 0
	if e.body != nil {
		limit = e.body(l)
	}
	return req.readBody(limit)
}

func (req *request) readQuery(params []string) error {
	given, err := url.ParseQuery(req.r.URL.RawQuery)
	if err != nil {
		return badRequest("the query is not URL-encoded: %v", err)
	}
	req.query = make(map[string]string, len(given))
	for name, values := range given {
		switch {
		case !slices.Contains(params, name):
			return badRequest("the query parameter %q is unknown here; known are %q", name, params)
		case len(values) > 1:
			return badRequest("the query parameter %q is given %d times", name, len(values))
		}
		req.query[name] = values[0]
	}
	return nil
}

func (req *request) readBody(limit int) error {
	if req.r.ContentLength > int64(limit) {
		return bodyTooLarge(limit)
	}
	if req.r.Body == http.NoBody {
		return nil
	}
	var body bytes.Buffer
	if n := req.r.ContentLength; n > 0 {
		body.Grow(int(n) + bytes.MinRead)
	}
	_, err := body.ReadFrom(http.MaxBytesReader(req.w, req.r.Body, int64(limit)))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return bodyTooLarge(limit)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return badRequest("the body did not arrive within %v", bodyTimeout)
	case err != nil:
		return badRequest("the body broke off: %v", err)
	}
	req.body = body.Bytes()
	return nil // having met the body's end, net/http lifts the deadline
}

func bodyTooLarge(limit int) error {
	if limit == 0 {
		return badRequest("this call takes no body")
	}
	return fail(http.StatusRequestEntityTooLarge, api.CodeTooLarge, "the body may have %d bytes", limit)
}

// refuse answers a request that may not have been read to its end: the
// connection cannot be used for another.
func (req *request) refuse(err error) error {
	if req.r.Body != http.NoBody {
		req.w.Header().Set("Connection", "close")
	}
	return errors.Join(err, req.allowAnswer(bodyTimeout))
}

// allowAnswer gives the caller this long, beyond what the call itself may
// take, to accept the answer.
func (req *request) allowAnswer(d time.Duration) error {
	return req.control.SetWriteDeadline(time.Now().Add(req.timeout + d))
}

// context is the time the call has.
func (req *request) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(req.r.Context(), req.timeout)
}

// uint reads a parameter that is a whole number; given is false without it.
func (req *request) uint(name string) (n uint64, given bool, err error) {
	text, given := req.query[name]
	if !given {
		return 0, false, nil
	}
	n, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, true, badRequest("%s=%s: give a whole number", name, text)
	}
	return n, true, nil
}

// ttl reads how long a key that is put lives; 0 without the parameter.
func (req *request) ttl() (kv.TTL, error) {
	text, given := req.query["ttl"]
	if !given {
		return 0, nil
	}
	return ttlOf(text)
}

func ttlOf(text string) (kv.TTL, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, badRequest("ttl=%s: give a duration such as 30s or 12h", text)
	}
	return kv.TTLOf(d)
}

// text reads a parameter that is compared with keys.
func (req *request) text(name string) (string, error) {
	s := req.query[name]
	if !utf8.ValidString(s) {
		return "", badRequest("%s is not UTF-8; keys are", name)
	}
	return s, nil
}

// json reads the body, strictly: what is not understood is not ignored.
func (req *request) json(v any) error {
	if !utf8.Valid(req.body) {
		return badRequest("the body is not UTF-8; give bytes as value_base64")
	}
	dec := json.NewDecoder(bytes.NewReader(req.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return badRequest("the body is not the expected JSON: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badRequest("the body goes on after its JSON")
	}
	return nil
}
