package app

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/raft"
)

// keyUse says what an endpoint does with an Idempotency-Key.
type keyUse int

const (
	// keyIgnored: it changes nothing, so it can be repeated anyway.
	keyIgnored keyUse = iota
	// keyKept: the replicated state remembers the key (package once).
	keyKept
	// keyNatural: what it wants is a state, so a repetition that finds it is
	// answered with success. The key only says that it may be one.
	keyNatural
	// keyRefused: a repetition would do it once more.
	keyRefused
)

// readKey reads the headers of idempotency.
func (req *request) readKey(use keyUse) error {
	keys, sinces := req.r.Header.Values(api.HeaderKey), req.r.Header.Values(api.HeaderKeySince)
	switch {
	case use == keyIgnored:
		return nil
	case len(keys) == 0 && len(sinces) == 0:
		return nil
	case len(keys) == 0:
		return badRequest("%s goes with an %s, and there is none", api.HeaderKeySince, api.HeaderKey)
	case len(keys) > 1 || len(sinces) > 1:
		return badRequest("%s and %s can be given once", api.HeaderKey, api.HeaderKeySince)
	case keys[0] == "" || len(keys[0]) > once.MaxKeyBytes:
		return badRequest("an %s has 1 to %d bytes, this one %d", api.HeaderKey, once.MaxKeyBytes, len(keys[0]))
	case use == keyRefused:
		return badRequest("this call takes no %s, since a repetition would do it once more; leave the key out (and to hand over, name the successor: POST %sID/lead)",
			api.HeaderKey, memberPath)
	case use == keyNatural && len(sinces) > 0:
		return badRequest("this call takes no %s: its keys are not remembered", api.HeaderKeySince)
	}
	req.key = keys[0]
	if len(sinces) == 0 {
		return nil
	}
	n, err := strconv.ParseUint(sinces[0], 10, 64)
	if err != nil || n == 0 {
		return badRequest("%s: %s: give an index, 1 or more, that you had seen before you used the key", api.HeaderKeySince, sinces[0])
	}
	req.since = raft.Index(n)
	return nil
}

// submit commits a command of the key/value state, once if the request has a
// key.
func (s *Server) submit(req *request, command []byte) (once.Outcome, error) {
	if req.key != "" {
		var err error
		if command, err = once.Command(req.key, req.since, command); err != nil {
			return once.Outcome{}, err
		}
	}
	ctx, cancel := req.context()
	defer cancel()
	applied, err := s.node.Propose(ctx, command)
	if err != nil {
		return once.Outcome{}, err
	}
	if req.key == "" {
		return once.Outcome{Index: applied.Index, Term: applied.Term, Result: applied.Result}, nil
	}
	o, err := once.ParseOutcome(applied.Result)
	if err != nil {
		return once.Outcome{}, err
	}
	if o.Repeated {
		req.w.Header().Set(api.HeaderRepeated, "true")
	}
	return o, refused(req, o)
}

// refused is the answer to a change whose key was not accepted, nil if it was.
func refused(req *request, o once.Outcome) error {
	switch o.Refusal {
	case once.Accepted:
		return nil
	case once.KeyReused:
		return fail(http.StatusConflict, api.CodeKeyReused,
			"this %s belongs to another change, made at index %d; this one was not made; give each change a key of its own", api.HeaderKey, o.Index)
	case once.KeyForgotten:
		return fail(http.StatusConflict, api.CodeKeyForgotten,
			"keys used up to index %d are forgotten, and by its %s this may be one of them; the change was not made now, but may have been before: look, and make it with a new key if it was not",
			o.Index, api.HeaderKeySince)
	case once.TooManyKeys:
		f := fail(http.StatusTooManyRequests, api.CodeTooManyKeys,
			"no further %s can be remembered for now; surely not applied; try again later, and give %s with keys, so that they can be forgotten earlier",
			api.HeaderKey, api.HeaderKeySince)
		f.RetryAfterMS = int(o.RetryAfter)
		return f
	case once.SinceAhead:
		return badRequest("%s: %d is ahead of the log; give an index that you had seen in this cluster before you used the key",
			api.HeaderKeySince, req.since)
	}
	return errors.New("this device could not read the command it proposed")
}

// keyedFailure is the answer to an error: a change with a key whose outcome is
// not known can be repeated.
func (req *request) keyedFailure(err error) error {
	if err == nil || req.key == "" {
		return err
	}
	f := failureOf(err)
	if f.Code == api.CodeOutcomeUnknown {
		f.Message = err.Error() + "; it may have taken effect or may yet: repeat it with the same " + api.HeaderKey
		f.RetryAfterMS = retryNoLeaderMS
	}
	return f
}
