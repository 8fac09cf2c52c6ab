package agent

import (
	"os"
	"runtime"
)

// processors is how many threads may run Go code at a time. Two even on a board
// with one processor: a page of the database that has to come from a slow card
// stops the thread that touches it, and must not stop the heartbeat. And not
// more: there is one loop and one writer, and each further thread costs memory,
// and is woken for nothing.
const processors = 2

// setProcessors sets that, unless the environment says otherwise.
func setProcessors() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors)
	}
}
