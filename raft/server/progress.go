package server

import (
	"context"
	"fmt"
	"time"
)

// Progress returns once the loop has taken up this call, which shows that it
// turns, and tells how long the write to the log that is under way has lasted,
// 0 when there is none. While the loop is stuck it does not return, whatever ctx
// says, once the call is in the loop's queue; so ask from a goroutine of its own.
func (s *Server) Progress(ctx context.Context) (writing time.Duration, err error) {
	if err := s.do(ctx, func() {}); err != nil {
		return 0, fmt.Errorf("ask the loop whether it turns: %w", err)
	}
	return s.disk.writingFor(), nil
}

// writingFor is how long the write under way has lasted, 0 when there is none.
func (d *disk) writingFor() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.began.IsZero() {
		return 0
	}
	return time.Since(d.began)
}

// setBegan notes when the write under way began; zero: none is under way.
func (d *disk) setBegan(at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.began = at
}
