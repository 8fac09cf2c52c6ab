package app

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
)

// prepareRead makes the state fresh enough: linearizable (thesis §6.4), or as
// stale as it is, which it then says.
func (s *Server) prepareRead(req *request) error {
	switch c := req.query["consistency"]; c {
	case "", "linearizable":
		ctx, cancel := req.context()
		defer cancel()
		if err := s.node.Barrier(ctx); err != nil {
			return readFailure(err)
		}
	case "stale":
		req.w.Header().Set(api.HeaderLeaderContact, s.leaderContact(req.r.Context()))
	default:
		return badRequest("consistency=%s: give stale or linearizable", c)
	}
	// Taken before the state is read, so that what is read is at least as new.
	req.w.Header().Set(api.HeaderApplied, strconv.FormatUint(uint64(s.store.Applied()), 10))
	return nil
}

// leaderContact is how many milliseconds ago this device heard from a leader.
func (s *Server) leaderContact(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status, err := s.node.Status(ctx)
	if err != nil {
		return "unknown"
	}
	if ms := status.Cluster.LeaderContactMS; ms != nil {
		return strconv.FormatInt(*ms, 10)
	}
	return "unknown"
}

func (s *Server) get(req *request) error {
	if err := kv.CheckKey(req.name); err != nil {
		return err
	}
	if err := s.prepareRead(req); err != nil {
		return err
	}
	it, ok := s.store.Lookup(req.name)
	if !ok {
		return fail(http.StatusNotFound, api.CodeNotFound, "there is no key %q", req.name)
	}
	header := req.w.Header()
	header.Set(api.HeaderIndex, strconv.FormatUint(uint64(it.Index), 10))
	if it.Deadline != 0 {
		header.Set(api.HeaderExpiresIn, strconv.FormatInt(s.expiresIn(it), 10))
	}
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.Itoa(len(it.Value)))
	// Should the caller be gone, nobody is left to tell.
	_, _ = req.w.Write(it.Value)
	return nil
}

// expiresIn is about how many milliseconds a key has left, 0 if it has no
// deadline, and 1 at least if it has one.
func (s *Server) expiresIn(it kv.Item) int64 {
	if it.Deadline == 0 {
		return 0
	}
	return int64(it.Deadline - min(s.node.ClusterTime(), it.Deadline-1))
}

func (s *Server) list(req *request) error {
	prefix, err := req.text("prefix")
	if err != nil {
		return err
	}
	after, err := req.text("after")
	if err != nil {
		return err
	}
	limit, given, err := req.uint("limit")
	if err != nil {
		return err
	}
	if given && (limit == 0 || limit > kv.MaxListItems) {
		return badRequest("limit=%d: give 1 to %d, and go on with after=KEY", limit, kv.MaxListItems)
	}
	if err := s.prepareRead(req); err != nil {
		return err
	}
	found := s.store.List(kv.ListQuery{Prefix: prefix, After: after, Limit: int(limit)})
	answer := api.List{Applied: uint64(found.Applied), Items: make([]api.KeyValue, len(found.Items))}
	for i, it := range found.Items {
		answer.Items[i] = api.KeyValue{
			Key: it.Key, Bytes: api.BytesOf(it.Value), Index: uint64(it.Index), ExpiresInMS: s.expiresIn(it),
		}
	}
	if found.More {
		answer.Next = found.Items[len(found.Items)-1].Key
	}
	writeJSON(req.w, http.StatusOK, answer)
	return nil
}

func (s *Server) put(req *request) error {
	ttl, err := req.ttl()
	if err != nil {
		return err
	}
	return s.changeKey(req, func(ifIndex *uint64) ([]byte, error) {
		return kv.PutTTL(req.name, req.body, ttl, ifIndex)
	})
}

func (s *Server) delete(req *request) error {
	return s.changeKey(req, func(ifIndex *uint64) ([]byte, error) {
		return kv.Delete(req.name, ifIndex)
	})
}

// changeKey commits the command that encode makes, and answers.
func (s *Server) changeKey(req *request, encode func(ifIndex *uint64) ([]byte, error)) error {
	var ifIndex *uint64
	if n, given, err := req.uint("if_index"); err != nil {
		return err
	} else if given {
		ifIndex = &n
	}
	command, err := encode(ifIndex)
	if err != nil {
		return err
	}
	outcome, result, err := s.commit(req, command)
	if err != nil {
		return err
	}
	switch result.Outcome {
	case kv.Absent:
		return fail(http.StatusNotFound, api.CodeNotFound, "there is no key %q", req.name)
	case kv.CompareFailed:
		req.w.Header().Set(api.HeaderIndex, strconv.FormatUint(result.Index, 10))
		if result.Index == 0 {
			return fail(http.StatusConflict, api.CodeCompareFailed, "the key %q is absent; it was not changed", req.name)
		}
		return fail(http.StatusConflict, api.CodeCompareFailed,
			"the key %q last changed at index %d; it was not changed", req.name, result.Index)
	}
	s.writeApplied(req, api.Applied{Index: uint64(outcome.Index), Term: uint64(outcome.Term)})
	return nil
}

// commit proposes an operation on keys. Outcomes that are alike for all of
// them are errors.
func (s *Server) commit(req *request, command []byte) (once.Outcome, kv.Result, error) {
	outcome, err := s.submit(req, command)
	if err != nil {
		return once.Outcome{}, kv.Result{}, err
	}
	result, err := kv.ParseResult(outcome.Result)
	if err != nil {
		return once.Outcome{}, kv.Result{}, err
	}
	switch result.Outcome {
	case kv.StateFull:
		next := "delete something first"
		if req.key != "" {
			next += ", then try again with another Idempotency-Key"
		}
		return once.Outcome{}, kv.Result{}, fail(http.StatusInsufficientStorage, api.CodeStateFull,
			"the key/value state would exceed its limit of %d bytes; nothing was changed; %s", kv.MaxStateBytes, next)
	case kv.Malformed:
		return once.Outcome{}, kv.Result{}, errors.New("this device could not read the command it proposed")
	}
	return outcome, result, nil
}

func (s *Server) propose(req *request) error {
	outcome, err := s.submit(req, kv.Command(req.body))
	if err != nil {
		return err
	}
	s.writeApplied(req, api.Applied{
		Index: uint64(outcome.Index), Term: uint64(outcome.Term), Result: outcome.Result, ResultNotKept: outcome.ResultLost,
	})
	return nil
}

func (s *Server) writeApplied(req *request, a api.Applied) {
	req.w.Header().Set(api.HeaderIndex, strconv.FormatUint(a.Index, 10))
	writeJSON(req.w, http.StatusOK, a)
}
