package api

// Headers of requests for a change.
const (
	// HeaderKey makes a change safe to repeat: of all with the same key, 1 to 64
	// bytes, one takes effect, and all get its answer.
	HeaderKey = "Idempotency-Key"
	// HeaderKeySince, beside HeaderKey, is an index that the caller had seen
	// before it used the key for the first time, such as that of its last change
	// or HeaderApplied of a read. With it a key that was forgotten is refused
	// (CodeKeyForgotten), never applied again.
	HeaderKeySince = "Edgeraft-Key-Since"
)

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
	// HeaderExpiresIn is in how many milliseconds the key expires, about; absent
	// where it does not.
	HeaderExpiresIn = "Edgeraft-Expires-In-Ms"
	// HeaderRepeated is "true" on the answer to a change with an idempotency key
	// that was made before: nothing was done this time.
	HeaderRepeated = "Edgeraft-Repeated"
)
