package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// How long a caller should wait before it tries again, in milliseconds.
const (
	retryNoLeaderMS = 500 // about an election
	retryBusyMS     = 200
	retryDiskFullMS = 10_000 // somebody must make room
)

// failure is an answer that is not a success.
type failure struct {
	status int
	api.ErrorDetail
}

func (f *failure) Error() string { return f.Message }

func fail(status int, code, format string, args ...any) *failure {
	return &failure{status, api.ErrorDetail{Code: code, Message: fmt.Sprintf(format, args...)}}
}

func badRequest(format string, args ...any) *failure {
	return fail(http.StatusBadRequest, api.CodeBadRequest, format, args...)
}

// mayTakeEffect is what to do after a change whose outcome is not known.
const mayTakeEffect = "it may still take effect: look before you repeat it (with an Idempotency-Key you could just repeat it)"

// known is how the errors that can be expected appear on the socket. The first
// that matches counts.
var known = []struct {
	err     error
	status  int
	code    string
	retryMS int
	next    string // what to do, after the error's own text
}{
	{raft.ErrOutcomeUnknown, http.StatusGatewayTimeout, api.CodeOutcomeUnknown, 0,
		mayTakeEffect},
	{raft.ErrNoLeader, http.StatusServiceUnavailable, api.CodeNoLeader, retryNoLeaderMS,
		"surely not applied; try again, and see edgeraft status if it lasts"},
	{raft.ErrNotLeader, http.StatusServiceUnavailable, api.CodeNoLeader, retryNoLeaderMS,
		"surely not applied; try again, or ask the leader that edgeraft status names"},
	{raft.ErrNotFounded, http.StatusServiceUnavailable, api.CodeNotFounded, 0,
		"found one with edgeraft init, or join one with edgeraft join"},
	{raft.ErrStopped, http.StatusServiceUnavailable, api.CodeStopping, retryNoLeaderMS,
		"surely not applied; try again when it runs, or on another device"},
	{raft.ErrBusy, http.StatusTooManyRequests, api.CodeTooMany, retryBusyMS,
		"surely not applied; try again, more slowly"},
	{raft.ErrLogFull, http.StatusInsufficientStorage, api.CodeLogFull, 0,
		"surely not applied; see edgeraft status"},
	{raft.ErrDiskFull, http.StatusInsufficientStorage, api.CodeDiskFull, retryDiskFullMS,
		"surely not applied; make room on the leader's disk, or on another voter's (edgeraft status there says how much), and try again"},
	{raft.ErrLevel, http.StatusConflict, api.CodeOldMember, 0,
		"surely not applied; edgeraft status on the leader names it: update edgeraft there, or remove that member if it is gone, and try again"},
	{raft.ErrTooLarge, http.StatusRequestEntityTooLarge, api.CodeTooLarge, 0,
		"send less at once"},
	{raft.ErrAlreadyFounded, http.StatusConflict, api.CodeConflict, 0,
		"see edgeraft status"},
	{raft.ErrFounding, http.StatusConflict, api.CodeConflict, 0,
		"edgeraft status says what it waits for; to found one on this device alone, remove bootstrap_expect and restart the agent"},
	{raft.ErrNoSuccessor, http.StatusConflict, api.CodeConflict, 0,
		"see edgeraft members list"},
	{raft.ErrChangePending, http.StatusConflict, api.CodeConflict, retryNoLeaderMS,
		"try again when it is"},
	{raft.ErrBehind, http.StatusConflict, api.CodeConflict, retryNoLeaderMS,
		"try again when it is"},
	{raft.ErrBadChange, http.StatusConflict, api.CodeConflict, 0,
		"see edgeraft members list"},
	{ErrRefused, http.StatusConflict, api.CodeConflict, 0, ""},
	{ErrBadKey, http.StatusBadRequest, api.CodeBadRequest, 0,
		"give the text that edgeraft init or edgeraft keygen printed"},
	{ErrKeysInUse, http.StatusConflict, api.CodeConflict, 0,
		"see edgeraft status"},
	{kv.ErrBadKey, http.StatusBadRequest, api.CodeBadRequest, 0, ""},
	{kv.ErrBadTxn, http.StatusBadRequest, api.CodeBadRequest, 0, ""},
	{kv.ErrBadTTL, http.StatusBadRequest, api.CodeBadRequest, 0, ""},
	{backup.ErrNoBackup, http.StatusBadRequest, api.CodeBadRequest, 0,
		"nothing was changed; send a file that edgeraft backup made"},
	{backup.ErrVersion, http.StatusBadRequest, api.CodeBadRequest, 0, "nothing was changed"},
	{backup.ErrDamaged, http.StatusBadRequest, api.CodeBadRequest, 0, "nothing was changed"},
	{kv.ErrTooLarge, http.StatusRequestEntityTooLarge, api.CodeTooLarge, 0,
		"send less at once"},
	// A context's end comes last: an error that also says what became of the
	// proposal is more precise. Alone it leaves that open.
	{context.DeadlineExceeded, http.StatusGatewayTimeout, api.CodeOutcomeUnknown, 0,
		"no answer in time; " + mayTakeEffect},
	{context.Canceled, http.StatusGatewayTimeout, api.CodeOutcomeUnknown, 0,
		"the request ended first; " + mayTakeEffect},
}

// failureOf finds the answer for an error.
func failureOf(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var compacted *compactedError
	if errors.As(err, &compacted) {
		f := fail(http.StatusGone, api.CodeCompacted,
			"%v; read the state anew (GET /v1/kv), then watch from index %d", compacted, compacted.resumeFrom)
		f.ResumeFrom = uint64(compacted.resumeFrom)
		return f
	}
	for _, k := range known {
		if !errors.Is(err, k.err) {
			continue
		}
		f := fail(k.status, k.code, "%v", err)
		if k.next != "" {
			f.Message += "; " + k.next
		}
		f.RetryAfterMS = k.retryMS
		return f
	}
	return fail(http.StatusInternalServerError, api.CodeInternal, "%v; see the agent's log", err)
}

// readFailure is failureOf for calls that change nothing: where a change's
// outcome would be unknown, a read merely found no quorum in time.
func readFailure(err error) error {
	if errors.Is(err, raft.ErrOutcomeUnknown) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		f := fail(http.StatusServiceUnavailable, api.CodeNoLeader,
			"%v: no leader with a quorum confirmed the read in time; try again, or read with consistency=stale", err)
		f.RetryAfterMS = retryNoLeaderMS
		return f
	}
	return err
}

// writeFailure answers with the error in the form of the contract.
func writeFailure(w http.ResponseWriter, err error) {
	f := failureOf(err)
	writeJSON(w, f.status, api.Error{Error: f.ErrorDetail})
}

// writeJSON answers with v. Should the caller be gone, nobody is left to tell.
func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
}
