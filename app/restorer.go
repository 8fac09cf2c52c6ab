package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/raft"
)

const (
	// restorePiece is the size of a piece where limits.command_bytes allows it.
	restorePiece = 32 << 10
	// piecesInFlight share saves and messages; more would crowd out others.
	piecesInFlight = 4
	// pieceRetry is the wait before a piece is proposed again for which there was
	// no room.
	pieceRetry = 100 * time.Millisecond
	// levelPatience is for how long members may be of unknown or old versions: a
	// new leader has to hear each of them first, or find that it is gone.
	levelPatience = 5 * time.Second
	// abortTimeout is for giving up; what stays staged is abandoned in the end.
	abortTimeout = 5 * time.Second
)

// restorer carries one restore through the log.
type restorer struct {
	server  *Server
	req     *request
	from    *backup.Reader
	foreign bool

	plan restore.Plan
	sum  hash.Hash
}

func (r *restorer) run() (api.Restored, error) {
	h := r.from.Header
	r.plan = restore.Plan{
		Size: int(h.Size), Time: raft.Time(h.TimeMS), Foreign: r.foreign,
		PieceBytes: max(min(restorePiece, r.server.limits.MaxValueBytes+kv.MaxOverhead-restore.MaxOverhead), restore.MinPieceBytes),
	}
	if h.Size == 0 {
		return api.Restored{}, fmt.Errorf("%w: it has no data", backup.ErrDamaged)
	}
	rand.Read(r.plan.ID[:]) // never fails: it ends the program instead
	r.sum = sha256.New()
	if _, err := r.commit(restore.Begin(r.plan)); err != nil {
		return api.Restored{}, err
	}
	err := r.stage()
	if err != nil {
		r.abort()
		return api.Restored{}, err
	}
	applied, err := r.commit(restore.Commit(r.plan.ID, [sha256.Size]byte(r.sum.Sum(nil))))
	if err != nil {
		return api.Restored{}, err
	}
	return api.Restored{
		Index: uint64(applied.Index), Term: uint64(applied.Term), Keys: h.Keys, Bytes: h.Size,
		Of: api.BackupOrigin{
			Cluster: h.Cluster, ClusterID: h.ClusterID, Index: h.Index, Term: h.Term, Taken: h.Taken, Edgeraft: h.Edgeraft,
		},
	}, nil
}

// stage proposes the pieces, a few at a time, and returns once all of them are
// committed and the file proved to be whole.
func (r *restorer) stage() error {
	slots := make(chan struct{}, piecesInFlight)
	failed := make(chan error, piecesInFlight)
	var all sync.WaitGroup
	defer all.Wait()
	for n := range r.plan.Pieces() {
		data := make([]byte, min(r.plan.PieceBytes, r.plan.Size-n*r.plan.PieceBytes))
		if _, err := io.ReadFull(r.from, data); err != nil {
			return err
		}
		r.sum.Write(data)
		select {
		case slots <- struct{}{}:
		case err := <-failed:
			return err
		}
		all.Go(func() {
			if _, err := r.commit(restore.Piece(r.plan.ID, n, data)); err != nil {
				failed <- err // there is room: one for each slot
				return        // which is kept, so that no more is begun
			}
			<-slots
		})
	}
	if _, err := r.from.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		return err
	}
	for range piecesInFlight { // all slots free: all pieces are there
		select {
		case slots <- struct{}{}:
		case err := <-failed:
			return err
		}
	}
	return nil
}

// commit proposes one command of the restore until it is committed or the time
// that a call has is over. All of them may be repeated.
func (r *restorer) commit(command []byte) (Applied, error) {
	ctx, cancel := r.req.context()
	defer cancel()
	began := time.Now()
	for {
		applied, err := r.server.node.Propose(ctx, command)
		if err == nil {
			o, err := restore.ParseOutcome(applied.Result)
			if err != nil {
				return Applied{}, err
			}
			if o.Index != 0 {
				applied.Index = o.Index
			}
			return applied, refusedRestore(o)
		}
		if !mayRepeat(err) && !(errors.Is(err, raft.ErrLevel) && time.Since(began) < levelPatience) {
			return Applied{}, err
		}
		again := time.NewTimer(pieceRetry)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return Applied{}, err
		}
	}
}

func mayRepeat(err error) bool {
	return errors.Is(err, raft.ErrBusy) || errors.Is(err, raft.ErrLogFull) || errors.Is(err, raft.ErrOutcomeUnknown)
}

// abort lets go of what is staged, if it can.
func (r *restorer) abort() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.req.r.Context()), abortTimeout)
	defer cancel()
	// Should it fail: it counts as abandoned after a while.
	_, _ = r.server.node.Propose(ctx, restore.Abort(r.plan.ID))
}

// refusedRestore is the answer to a command that was not accepted, nil if it was.
func refusedRestore(o restore.Outcome) error {
	switch o.Verdict {
	case restore.Accepted:
		return nil
	case restore.Busy:
		f := fail(http.StatusConflict, api.CodeConflict,
			"another restore is under way in this cluster, or was broken off; nothing was changed; try again when it is done, or in %v, when it counts as given up if it does not go on",
			(time.Duration(o.Number) * time.Millisecond).Round(time.Second))
		f.RetryAfterMS = int(o.Number)
		return f
	case restore.Gone:
		return fail(http.StatusConflict, api.CodeConflict,
			"this restore was given up meanwhile, since it made no progress for too long; nothing was changed; try again")
	case restore.Unreadable:
		return badRequest("the backup is whole, but its state cannot be read by the version of edgeraft that runs here; nothing was changed; restore it with the version that made it, or a later one")
	}
	return fmt.Errorf("the restore failed, and nothing was changed: %v", o.Verdict)
}
