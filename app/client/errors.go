package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"syscall"

	"github.com/edgeraft/edgeraft/app/api"
)

var (
	// ErrUnreachable: no agent answers on the socket. Nothing was sent. The
	// error that wraps it says which socket, why, and what to do.
	ErrUnreachable = errors.New("the agent can't be reached")
	// ErrInterrupted: the request for a change was sent, but no answer came
	// (the agent went away, or the context ended). Whether it took effect is
	// not known.
	ErrInterrupted = errors.New("no answer came, so it is not known whether the change took effect")
)

// Error is an answer of the agent that is not a success.
type Error struct {
	Status int // the HTTP status
	api.ErrorDetail
}

// Error is the agent's message, which says what went wrong and what to do.
func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	return fmt.Sprintf("%s (%s)", e.Message, e.Code)
}

// answerError makes an Error of an answer, whoever wrote its body.
func answerError(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes))
	if err != nil {
		return fmt.Errorf("reading the agent's answer %s: %w", resp.Status, err)
	}
	var detail api.Error
	if err := json.Unmarshal(body, &detail); err != nil || detail.Error.Code == "" {
		return &Error{Status: resp.StatusCode, ErrorDetail: api.ErrorDetail{
			Message: "the agent answered " + resp.Status + " without saying why; is the socket an edgeraft agent's?",
		}}
	}
	return &Error{Status: resp.StatusCode, ErrorDetail: detail.Error}
}

// dialError says why the socket could not be connected to, and what to do.
type dialError struct {
	socket string
	err    error
}

func (e *dialError) Error() string {
	why := e.err.Error()
	next := "is the agent running there? See its log"
	switch {
	case errors.Is(e.err, fs.ErrNotExist):
		why = "there is no such socket"
		next = "start the agent (systemctl start edgeraft, or edgeraft run), or name its socket with --socket"
	case errors.Is(e.err, syscall.ECONNREFUSED):
		why = "nobody listens there; the agent stopped or crashed"
		next = "start the agent (systemctl start edgeraft, or edgeraft run), or name its socket with --socket"
	case errors.Is(e.err, fs.ErrPermission):
		why = "permission denied"
		next = "join the group edgeraft (sudo usermod -aG edgeraft $USER, then log in again), or use sudo"
	case errors.Is(e.err, syscall.EAGAIN):
		why = "its queue of connections is full"
		next = "the agent is overloaded or stuck; try again, and see its log"
	}
	return fmt.Sprintf("%v at %s: %s; %s", ErrUnreachable, e.socket, why, next)
}

// Unwrap makes both ErrUnreachable and the cause visible to errors.Is.
func (e *dialError) Unwrap() []error { return []error{ErrUnreachable, e.err} }
