package once

// Unwrap returns the command that a stored one carries, and its idempotency key,
// for those who look at a log: without a key it is the command itself. Both
// share its memory.
func Unwrap(stored []byte) (inner, key []byte) {
	c, ok := decode(stored)
	if !ok {
		return stored, nil
	}
	return c.inner, stored[2 : 2+stored[1]]
}
