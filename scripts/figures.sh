#!/bin/sh
# Measures and prints the figures that the project states: sizes, the time to
# the first commit, fail-over, and what an idle agent costs. Takes about five
# minutes; needs what scripts/test.sh needs.
set -eu
cd "$(dirname "$0")/.."
scripts/test-deps.sh
echo "== size of the binaries"
scripts/cross-build.sh
echo "== from the start of the demonstration to the first commit"
dist/edgeraft-linux-amd64 demo | grep -m 1 -E 'Committed' || true
echo "== fail-over and idle cost, three agents in network namespaces"
go test ./integration -count=1 -timeout 20m -run 'TestFigures' -figures -v "$@" | grep -v -E "^(=== |--- |PASS|ok )"
