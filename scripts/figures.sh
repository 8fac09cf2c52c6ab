#!/bin/sh
# Measures and prints the figures that the project states: sizes, the time to
# the first commit, fail-over, and what an idle agent costs. Takes about ten
# minutes; needs what scripts/test.sh needs.
set -eu
cd "$(dirname "$0")/.."
scripts/test-deps.sh
echo "== size of the binaries"
scripts/cross-build.sh
# What is measured is the binary as it is shipped.
case $(uname -m) in
aarch64) binary=arm64 ;;
*) binary=amd64 ;;
esac
echo "== from the start of the demonstration to the first commit"
dist/edgeraft-linux-$binary demo | grep -m 1 -E 'Committed' || true
echo "== the Debian packages, and how exposed their service is"
scripts/package.sh
systemd-analyze security --offline=true --no-pager packaging/systemd/edgeraft.service | tail -n 1
echo "== the packaged service, idle under systemd"
go test ./integration/systemd -count=1 -timeout 20m -run 'TestFigures' -figures -v | grep -v -E "^(=== |--- |PASS|ok )"
echo "== fail-over and idle cost, three agents in network namespaces"
EDGERAFT_TEST_BINARY=$PWD/dist/edgeraft-linux-$binary \
	go test ./integration -count=1 -timeout 20m -run 'TestFigures' -figures -v "$@" | grep -v -E "^(=== |--- |PASS|ok )"
