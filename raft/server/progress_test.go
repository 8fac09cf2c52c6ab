package server

import (
	"testing"
	"testing/synctest"
	"time"
)

// A slow disk shows in how long the write lasts, while the loop turns; a loop
// that hangs, in that Progress does not return.
func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		w := start(t, 1)
		d := w.devices[0]
		writing := func() time.Duration {
			t.Helper()
			writing, err := d.Progress(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st := w.status(d); st.Writing != writing {
				t.Errorf("Status says that a write lasts %v, Progress %v", st.Writing, writing)
			}
			return writing
		}
		synctest.Wait()
		if d := writing(); d != 0 {
			t.Errorf("nothing is written, for %v", d)
		}
		d.card.set(time.Minute, nil)
		go func() { _, _ = d.Propose(t.Context(), []byte("slow")) }()
		<-time.After(45 * time.Second)
		if d := writing(); d < 44*time.Second || d > 45*time.Second {
			t.Errorf("after 45 s a write lasts %v", d)
		}
		<-time.After(30 * time.Second)
		if d := writing(); d != 0 {
			t.Errorf("the write has ended, and lasts %v", d)
		}

		go func() { _ = d.do(t.Context(), func() { <-hang }) }()
		synctest.Wait()
		returned := make(chan struct{})
		go func() { _, _ = d.Progress(t.Context()); close(returned) }()
		<-time.After(time.Hour)
		select {
		case <-returned:
			t.Error("the loop hangs, and Progress returned")
		default:
		}
		close(hang)
		<-returned
		w.haltAll()
	})
}
