package lab

import "sync"

// maxLog is how much of a process's output is kept, in bytes. Of more, the
// first half goes: the end tells why it failed.
const maxLog = 128 << 10

// tail is a writer that keeps the end of what is written. Safe for concurrent
// use.
type tail struct {
	mu   sync.Mutex
	text []byte
	cut  bool
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(p)
	if n > maxLog/2 {
		p, w.cut = p[n-maxLog/2:], true
	}
	if len(w.text)+len(p) > maxLog {
		w.text = append(w.text[:0], w.text[len(w.text)-maxLog/2:]...)
		w.cut = true
	}
	w.text = append(w.text, p...)
	return n, nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		return "[...]\n" + string(w.text)
	}
	return string(w.text)
}
