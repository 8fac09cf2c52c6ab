//go:build !race

package agent

// stride : of so many positions a rescue is cut, killed or failed at one.
const stride = 1
