#!/bin/sh
# slow-disk.sh - what three agents do when fsync takes seconds: on the leader, on a
# follower, once, and on all. Real processes in network namespaces, each with its
# data on a FUSE disk; 5 writes a second at each device, clients that give up after
# 10 s. Prints leader changes (terms), failed writes, the longest time without an
# acknowledged write anywhere, and the median. Needs root and FUSE; 12 minutes.
#
#   scripts/slow-disk.sh [-slow-for 20s]
set -eu
cd "$(dirname "$0")/.."
EDGERAFT_TEST_NO_SKIP=1 exec go test -count=1 -timeout 30m -run 'TestSlowDisk$' ./integration -slow-table "$@" -v
