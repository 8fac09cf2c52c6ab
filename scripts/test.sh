#!/bin/sh
# Runs every test there is, and installs what they need where it may.
#
#   scripts/test.sh          everything
#   scripts/test.sh quick    without the race detector's repeats, qemu and cross builds
#
# With EDGERAFT_TEST_NO_SKIP=1 a test that cannot run here fails instead of being
# skipped.
set -eu
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

step "what the tests need"
scripts/test-deps.sh

step "format and vet"
unformatted=$(gofmt -l .)
if [ -n "$unformatted" ]; then
	echo "not formatted by gofmt: $unformatted" >&2
	exit 1
fi
go vet ./...

step "tests, with the race detector"
# More at a time than there are cores: those of real processes mostly wait.
# The broker that the tests of mqttcomms bring with them has races of its own, in what
# it retains; it is not what is tested.
go test -race -gcflags='github.com/mochi-mqtt/server/v2/...=-race=false' -parallel 4 -timeout 15m ./...

step "the simulator, and the bugs planted for it to catch"
go test ./raft/rafttest -v -run 'Sim$|Founding$|Planted$'

step "the comparisons do the work they measure"
for dir in internal/compare internal/compare/storage; do
	# Modules of their own, which are no part of the product.
	if (cd $dir && go mod download); then
		(cd $dir && go vet . && go test .)
	else
		echo "LEFT OUT: $dir, since what it is compared with cannot be fetched" >&2
	fi
done

step "the demonstration, by mDNS and by configured peers"
go run ./cmd/edgeraft demo
go run ./cmd/edgeraft demo --no-mdns

[ "${1:-}" = quick ] && exit 0

step "32 bits"
GOARCH=386 CGO_ENABLED=0 go test -skip Planted ./raft/... ./boltlog ./app/... ./internal/... ./udpcomms ./mqttcomms

step "static binaries for all targets"
scripts/cross-build.sh

step "Debian packages"
scripts/package.sh

step "three agents as ARM code"
for target in "armv6 qemu-arm-static" "arm64 qemu-aarch64-static"; do
	# Two words on purpose.
	# shellcheck disable=SC2086
	set -- $target
	if ! command -v "$2" >/dev/null; then
		echo "SKIPPED: the three-process test as $1 code, since $2 is missing (Debian: qemu-user-static)" >&2
		[ "${EDGERAFT_TEST_NO_SKIP:-}" != 1 ] || exit 1
		continue
	fi
	EDGERAFT_TEST_BINARY=$PWD/dist/edgeraft-linux-$1 EDGERAFT_TEST_RUNNER=$2 \
		go test -count=1 -timeout 5m -run ThreeDevicesConfigured -v ./integration
done

step "all tests passed"
