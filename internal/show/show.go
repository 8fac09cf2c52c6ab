// Package show writes things for people: IDs cut short, sizes in a unit that fits,
// text from elsewhere without what a terminal would obey.
package show

import (
	"fmt"
)

// shortIDLen is how much of an ID people see: enough to tell any members of
// one cluster apart, and accepted by the commands that take one.
const shortIDLen = 8

// ShortID is what people see of an ID.
func ShortID(id string) string { return id[:min(len(id), shortIDLen)] }

// Size shows bytes in the unit that fits.
func Size(n uint64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}
