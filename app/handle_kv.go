package app

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
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
	value, index, ok := s.store.Get(req.name)
	if !ok {
		return fail(http.StatusNotFound, api.CodeNotFound, "there is no key %q", req.name)
	}
	header := req.w.Header()
	header.Set(api.HeaderIndex, strconv.FormatUint(uint64(index), 10))
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.Itoa(len(value)))
	// Should the caller be gone, nobody is left to tell.
	_, _ = req.w.Write(value)
	return nil
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
		answer.Items[i] = api.KeyValue{Key: it.Key, Bytes: api.BytesOf(it.Value), Index: uint64(it.Index)}
	}
	if found.More {
		answer.Next = found.Items[len(found.Items)-1].Key
	}
	writeJSON(req.w, http.StatusOK, answer)
	return nil
}

func (s *Server) put(req *request) error {
	if _, given := req.query["ttl"]; given {
		return fail(http.StatusNotImplemented, api.CodeUnsupported, "this version does not take ttl; leave it out, and delete the key in time")
	}
	return s.changeKey(req, func(ifIndex *uint64) ([]byte, error) {
		return kv.Put(req.name, req.body, ifIndex)
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
	applied, result, err := s.commit(req, command)
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
	s.writeApplied(req, api.Applied{Index: uint64(applied.Index), Term: uint64(applied.Term)})
	return nil
}

// commit proposes an operation on keys. Outcomes that are alike for all of
// them are errors.
func (s *Server) commit(req *request, command []byte) (Applied, kv.Result, error) {
	ctx, cancel := req.context()
	defer cancel()
	applied, err := s.node.Propose(ctx, command)
	if err != nil {
		return Applied{}, kv.Result{}, err
	}
	result, err := kv.ParseResult(applied.Result)
	if err != nil {
		return Applied{}, kv.Result{}, err
	}
	switch result.Outcome {
	case kv.StateFull:
		return Applied{}, kv.Result{}, fail(http.StatusInsufficientStorage, api.CodeStateFull,
			"the key/value state would exceed its limit of %d bytes; nothing was changed; delete something first", kv.MaxStateBytes)
	case kv.Malformed:
		return Applied{}, kv.Result{}, errors.New("this device could not read the command it proposed")
	}
	return applied, result, nil
}

func (s *Server) propose(req *request) error {
	ctx, cancel := req.context()
	defer cancel()
	applied, err := s.node.Propose(ctx, kv.Command(req.body))
	if err != nil {
		return err
	}
	s.writeApplied(req, api.Applied{Index: uint64(applied.Index), Term: uint64(applied.Term), Result: applied.Result})
	return nil
}

func (s *Server) writeApplied(req *request, a api.Applied) {
	req.w.Header().Set(api.HeaderIndex, strconv.FormatUint(a.Index, 10))
	writeJSON(req.w, http.StatusOK, a)
}
