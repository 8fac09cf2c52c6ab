package app

import (
	"time"

	"github.com/edgeraft/edgeraft/app/kv"
)

// Limits bounds what the socket's callers may take of the device. A field that
// is 0 has its default.
type Limits struct {
	// MaxConnections open at a time (256). Further ones wait to be accepted.
	MaxConnections int
	// MaxRequests in flight, without watchers, status and health (64).
	// Further ones get 429.
	MaxRequests int
	// MaxWatchers at a time (64). Further ones get 429.
	MaxWatchers int
	// MaxValueBytes of a value or an opaque command (64 KiB; at most 1 MiB,
	// and more is taken as that). Larger ones get 413. A transaction as a
	// whole may have kv.MaxOverhead more.
	MaxValueBytes int
	// Timeout is how long a call that needs the cluster waits for it (10 s)
	// unless the caller gives ?timeout=, of at most MaxTimeout (60 s).
	Timeout    time.Duration
	MaxTimeout time.Duration
	// WriteTimeout is how long a caller may take to accept an answer, or a
	// watcher a batch of events (10 s). One that is slower is disconnected.
	WriteTimeout time.Duration
}

// Limits that need no setting.
const (
	maxHeaderBytes = 16 << 10 // a key of 512 bytes is 1536 when escaped. More gets 431
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 10 * time.Second // to arrive; then 400
	idleTimeout    = 60 * time.Second // of a connection between requests; then it is closed
	statusTimeout  = 5 * time.Second  // for the agent to tell its status; then 503
	shutdownGrace  = 5 * time.Second  // for requests in flight when the agent stops
	maxSmallBody   = 4 << 10          // of requests that carry a few names. More gets 413
)

func (l Limits) withDefaults() Limits {
	setDefault(&l.MaxConnections, 256)
	setDefault(&l.MaxRequests, 64)
	setDefault(&l.MaxWatchers, 64)
	setDefault(&l.MaxValueBytes, 64<<10)
	l.MaxValueBytes = min(l.MaxValueBytes, kv.MaxValueBytes)
	setDefault(&l.Timeout, 10*time.Second)
	setDefault(&l.MaxTimeout, 60*time.Second)
	setDefault(&l.WriteTimeout, 10*time.Second)
	return l
}

func setDefault[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// maxTxnBody is how much JSON a transaction may be: its bytes in base64, and
// room for the keys and the punctuation.
func (l Limits) maxTxnBody() int { return 2*l.MaxValueBytes + 128<<10 }
