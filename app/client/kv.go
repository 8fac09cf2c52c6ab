package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// Staleness says how old a read may be.
type Staleness struct {
	// Applied is the index up to which the answering device had applied the
	// log.
	Applied uint64
	// LeaderContact is how long ago that device last heard from a leader. It
	// is set on stale reads only, and only where LeaderContactKnown.
	LeaderContact      time.Duration
	LeaderContactKnown bool
}

// GetOptions alters a Get.
type GetOptions struct {
	// Stale answers from this device's state at once, also while it is cut
	// off. Otherwise the read is linearizable and needs the cluster.
	Stale bool
}

// GetResult is one key's value.
type GetResult struct {
	Value []byte
	Index uint64 // at which the key last changed
	// ExpiresIn is about how long the key has left; 0 where it does not expire.
	ExpiresIn time.Duration
	Staleness
}

// Get reads one key. An absent one is an *Error with code "not_found".
func (c *Client) Get(ctx context.Context, key string, opts GetOptions) (GetResult, error) {
	q := url.Values{}
	if opts.Stale {
		q.Set("consistency", "stale")
	}
	r := keyCall(http.MethodGet, key, q)
	body, header, err := c.read(ctx, r)
	if err != nil {
		return GetResult{}, err
	}
	index, err := strconv.ParseUint(header.Get(api.HeaderIndex), 10, 64)
	if err != nil {
		return GetResult{}, fmt.Errorf("GET %s: header %s of the answer: %w", r.path, api.HeaderIndex, err)
	}
	result := GetResult{Value: body, Index: index, Staleness: stalenessOf(header)}
	if ms, err := strconv.ParseInt(header.Get(api.HeaderExpiresIn), 10, 64); err == nil {
		result.ExpiresIn = time.Duration(ms) * time.Millisecond
	}
	return result, nil
}

// PutOptions alters a Put.
type PutOptions struct {
	// IfIndex makes it a compare-and-set: the key must have last changed at
	// this index, or be absent if it is 0. Otherwise the error is an *Error
	// with code "compare_failed".
	IfIndex *uint64
	// TTL is how long the key shall live, such as "30s"; empty: until it is
	// removed.
	TTL string
}

// Put sets one key and returns the index of the change.
func (c *Client) Put(ctx context.Context, key string, value []byte, opts PutOptions) (uint64, error) {
	q := url.Values{}
	setIfIndex(q, opts.IfIndex)
	if opts.TTL != "" {
		q.Set("ttl", opts.TTL)
	}
	if value == nil {
		value = []byte{}
	}
	r := keyCall(http.MethodPut, key, q)
	r.body = value
	var applied api.Applied
	err := c.json(ctx, r, &applied)
	return applied.Index, err
}

// DeleteOptions alters a Delete.
type DeleteOptions struct {
	// IfIndex: the key must have last changed at this index, as in PutOptions.
	IfIndex *uint64
}

// Delete removes one key and returns the index of the change. An absent key is
// an *Error with code "not_found".
func (c *Client) Delete(ctx context.Context, key string, opts DeleteOptions) (uint64, error) {
	q := url.Values{}
	setIfIndex(q, opts.IfIndex)
	var applied api.Applied
	err := c.json(ctx, keyCall(http.MethodDelete, key, q), &applied)
	return applied.Index, err
}

// ListOptions alters a List.
type ListOptions struct {
	Stale bool   // as in GetOptions
	After string // only keys after this one: the Next of the page before
	Limit int    // at most this many keys; 0 for the agent's own limit
}

// List reads the keys that begin with prefix, in order of their bytes. The
// agent bounds the page: go on with After while the answer has a Next.
func (c *Client) List(ctx context.Context, prefix string, opts ListOptions) (api.List, error) {
	q := url.Values{"prefix": {prefix}}
	if opts.Stale {
		q.Set("consistency", "stale")
	}
	if opts.After != "" {
		q.Set("after", opts.After)
	}
	if opts.Limit > 0 {
		q.Set("limit", strconv.Itoa(opts.Limit))
	}
	var list api.List
	err := c.json(ctx, call{method: http.MethodGet, path: "/v1/kv", query: q}, &list)
	return list, err
}

// Txn commits a transaction: if every compare holds, Then, else Else.
func (c *Client) Txn(ctx context.Context, txn api.Txn) (api.TxnResult, error) {
	body, err := json.Marshal(txn)
	if err != nil {
		return api.TxnResult{}, fmt.Errorf("encoding the transaction: %w", err)
	}
	var result api.TxnResult
	err = c.json(ctx, call{method: http.MethodPost, path: "/v1/txn", body: body, changes: true, remembered: true}, &result)
	return result, err
}

// Propose commits an opaque command.
func (c *Client) Propose(ctx context.Context, command []byte) (api.Applied, error) {
	if command == nil {
		command = []byte{}
	}
	var applied api.Applied
	err := c.json(ctx, call{method: http.MethodPost, path: "/v1/propose", body: command, changes: true, remembered: true}, &applied)
	return applied, err
}

// keyCall is a call on one key. The key is escaped whole, slashes too, so that
// nothing on the way takes it for a path to be cleaned.
func keyCall(method, key string, q url.Values) call {
	return call{
		method:      method,
		path:        "/v1/kv/" + key,
		escapedPath: "/v1/kv/" + url.PathEscape(key),
		query:       q,
		changes:     method != http.MethodGet,
		remembered:  method != http.MethodGet,
	}
}

func setIfIndex(q url.Values, index *uint64) {
	if index != nil {
		q.Set("if_index", strconv.FormatUint(*index, 10))
	}
}

// stalenessOf reads the headers; what is missing or odd counts as unknown.
func stalenessOf(h http.Header) Staleness {
	var s Staleness
	s.Applied, _ = strconv.ParseUint(h.Get(api.HeaderApplied), 10, 64)
	if ms, err := strconv.ParseInt(h.Get(api.HeaderLeaderContact), 10, 64); err == nil {
		s.LeaderContact, s.LeaderContactKnown = time.Duration(ms)*time.Millisecond, true
	}
	return s
}
