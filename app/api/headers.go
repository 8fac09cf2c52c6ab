package api

// Headers of answers.
const (
	// HeaderIndex is the index at which the key last changed; on the answer to
	// a change, the change's own index.
	HeaderIndex = "Edgeraft-Index"
	// HeaderApplied is the index up to which the answering device had applied
	// the log when it answered a read or began a watch.
	HeaderApplied = "Edgeraft-Applied"
	// HeaderLeaderContact, on a stale read, is how many milliseconds ago the
	// answering device last heard from a leader (0 on the leader itself), or
	// "unknown".
	HeaderLeaderContact = "Edgeraft-Leader-Contact-Ms"
)
