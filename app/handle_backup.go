package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
)

// Archive takes pictures of the replicated state.
type Archive interface {
	// Backup returns the state at one index, with the header that says at which.
	// The data must not be changed.
	Backup(ctx context.Context) (backup.Header, []byte, error)
}

// streamPiece is how much of a stream is written or read at a time, each within
// the time that the caller has for it.
const streamPiece = 64 << 10

// backup answers with the whole state at one index. One caller at a time: each
// costs the memory of a state.
func (s *Server) backup(req *request) error {
	if !acquire(s.backups) {
		f := fail(http.StatusTooManyRequests, api.CodeTooMany, "another backup is being taken; try again when it is done")
		f.RetryAfterMS = retryBusyMS
		return f
	}
	defer release(s.backups)
	if err := s.prepareRead(req); err != nil {
		return err
	}
	ctx, cancel := req.context()
	defer cancel()
	h, data, err := s.archive.Backup(ctx)
	if err != nil {
		return readFailure(err)
	}
	if h.Stale = req.query["consistency"] == "stale"; h.Stale {
		contact := req.w.Header().Get(api.HeaderLeaderContact)
		if h.LeaderContactMS, err = strconv.ParseInt(contact, 10, 64); err != nil {
			h.LeaderContactMS = -1
		}
	}
	before, after, size, err := backup.Encode(h, data)
	if err != nil {
		return err
	}
	header := req.w.Header()
	header.Set(api.HeaderApplied, strconv.FormatUint(h.Index, 10))
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Length", strconv.Itoa(size))
	for _, part := range [][]byte{before, data, after} {
		for len(part) > 0 {
			n := min(len(part), streamPiece)
			if req.control.SetWriteDeadline(time.Now().Add(s.limits.WriteTimeout)) != nil {
				return nil
			}
			if _, err := req.w.Write(part[:n]); err != nil {
				return nil // the caller is gone, or too slow
			}
			part = part[n:]
		}
	}
	return nil
}

// streamed is a body that is read piece by piece; each must come in time.
type streamed struct {
	req  *request
	body io.Reader
}

func (b streamed) Read(p []byte) (int, error) {
	if err := b.req.control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return 0, err
	}
	n, err := b.body.Read(p[:min(len(p), streamPiece)])
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = badRequest("the body did not go on for %v; nothing was changed", bodyTimeout)
	} else if err != nil && !errors.Is(err, io.EOF) {
		err = badRequest("the body broke off: %v; nothing was changed", err)
	}
	return n, err
}

// maxRestoreBody bounds the body of a restore.
const maxRestoreBody = backup.MaxDataBytes + backup.MaxHeaderBytes + 1<<10

// restore puts the state of the backup in the body in the place of the present
// one, on all devices. It answers an error only when the body has been read, or
// the caller might not see the answer for still writing.
func (s *Server) restore(req *request) error {
	if !acquire(s.restores) {
		f := fail(http.StatusTooManyRequests, api.CodeTooMany, "another restore is under way on this device; try again when it is done")
		f.RetryAfterMS = retryBusyMS
		return f
	}
	defer release(s.restores)
	body := streamed{req, http.MaxBytesReader(req.w, req.r.Body, maxRestoreBody)}
	restored, err := s.restoreFrom(req, body)
	if err != nil {
		_, _ = io.Copy(io.Discard, body)
	}
	if e := req.allowAnswer(s.limits.WriteTimeout); e != nil {
		return errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	s.writeRestored(req, restored)
	return nil
}

func (s *Server) writeRestored(req *request, r api.Restored) {
	req.w.Header().Set(api.HeaderIndex, strconv.FormatUint(r.Index, 10))
	writeJSON(req.w, http.StatusOK, r)
}

func (s *Server) restoreFrom(req *request, body io.Reader) (api.Restored, error) {
	from, err := backup.NewReader(body)
	if err != nil {
		return api.Restored{}, err
	}
	status, err := s.nodeStatus(req)
	if err != nil {
		return api.Restored{}, err
	}
	r := restorer{server: s, req: req, from: from, foreign: status.Cluster.ID != from.Header.ClusterID}
	return r.run()
}
