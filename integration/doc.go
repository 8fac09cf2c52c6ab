// Package integration tests the program as its users have it: real processes
// on a network of their own (package lab), talked to by the command line and
// the socket.
//
// The tests build the program, or take it from EDGERAFT_TEST_BINARY, run by
// EDGERAFT_TEST_RUNNER (such as qemu-arm-static) if that is set. They need
// root; scripts/test-deps.sh installs what else they need. What cannot run is
// skipped, loudly, and with EDGERAFT_TEST_NO_SKIP=1 it is a failure.
package integration
