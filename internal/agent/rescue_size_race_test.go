//go:build race

package agent

// stride spares the race detector, which finds nothing in what one process does
// after the other, most of the positions.
const stride = 7
