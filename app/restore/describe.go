package restore

import "fmt"

// Describe tells what a stored command does, for people who look at a log; false
// for one that is not of this package.
func Describe(stored []byte) (string, bool) {
	if len(stored) == 0 || stored[0] != mark {
		return "", false
	}
	c, ok := decode(stored)
	if !ok {
		return "a command of a restore that breaks the format", true
	}
	switch c.kind {
	case kindBegin:
		return fmt.Sprintf("restore %x begins: %d bytes in %d pieces", c.id, c.plan.Size, c.plan.Pieces()), true
	case kindPiece:
		return fmt.Sprintf("restore %x: piece %d, %d bytes", c.id, c.number, len(c.data)), true
	case kindCommit:
		return fmt.Sprintf("restore %x: the state is replaced", c.id), true
	case kindAbort:
		return fmt.Sprintf("restore %x is given up", c.id), true
	}
	return "an abandoned restore goes", true
}
