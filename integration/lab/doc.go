// Package lab is a small network for tests with real processes: devices in
// network namespaces on one bridge, that can be cut off, lose packets, and be
// killed, stopped and started.
//
// Device i (from 1) has the interface eth0 with the addresses 10.77.0.i/24 and
// fd77::i/64 and no route to anything else. Several networks may exist at the
// same time; each is removed when its test ends, and what tests left behind
// that could not clean up is removed by the next one.
//
// It needs root, and the commands ip (iproute2) and, for loss, nft (nftables).
package lab
