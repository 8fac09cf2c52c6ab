#!/bin/sh
# Builds the agent as static Linux binaries into dist/ ($DIST) and prints their
# sizes.
#
#   scripts/cross-build.sh                 all targets
#   scripts/cross-build.sh armv6 arm64     only these
#
# VERSION names the version; without it `git describe --always --dirty` does.
# Fails if any build fails, or makes a binary that needs a shared library.
#
# HTTP/2 is left out: the socket speaks HTTP/1.1, and it saves 0.4 MiB.
set -eu

all="armv5 armv6 armv7 arm64 amd64 riscv64 mipsle"

cd "$(dirname "$0")/.."
version=${VERSION:-$(git describe --always --dirty 2>/dev/null || echo unknown)}

# settings TARGET: the environment of the Go tool for it.
settings() {
	case $1 in
	armv5) echo "GOARCH=arm GOARM=5" ;;
	armv6) echo "GOARCH=arm GOARM=6" ;;
	armv7) echo "GOARCH=arm GOARM=7" ;;
	arm64 | amd64 | riscv64) echo "GOARCH=$1" ;;
	mipsle) echo "GOARCH=mipsle GOMIPS=softfloat" ;;
	*)
		echo "cross-build: unknown target \"$1\"; there are: $all" >&2
		return 2
		;;
	esac
}

# is_static FILE: no program interpreter (PT_INTERP, 3) and no dynamic section
# (PT_DYNAMIC, 2) among the ELF program headers. All targets are little-endian.
is_static() {
	word() { od -An -v -t "u$3" -j "$2" -N "$3" "$1" | tr -d ' '; }
	[ "$(od -An -t x1 -N 4 "$1" | tr -d ' ')" = 7f454c46 ] || return 1
	if [ "$(word "$1" 4 1)" = 2 ]; then # 64 bits
		start=$(word "$1" 32 8) size=$(word "$1" 54 2) count=$(word "$1" 56 2)
	else
		start=$(word "$1" 28 4) size=$(word "$1" 42 2) count=$(word "$1" 44 2)
	fi
	i=0
	while [ "$i" -lt "$count" ]; do
		case $(word "$1" $((start + i * size)) 4) in
		2 | 3) return 1 ;;
		esac
		i=$((i + 1))
	done
}

[ $# -gt 0 ] || eval "set -- $all"
for target in "$@"; do
	settings "$target" >/dev/null
done

dist=${DIST:-dist}
mkdir -p "$dist"
echo "edgeraft $version"
printf '%-10s %12s %8s\n' target bytes MiB
for target in "$@"; do
	out=$dist/edgeraft-linux-$target
	env_of_target=$(settings "$target")
	# The settings are words on purpose: NAME=value each.
	# shellcheck disable=SC2086
	env CGO_ENABLED=0 GOOS=linux $env_of_target \
		go build -tags nethttpomithttp2 -trimpath -ldflags "-s -w -X github.com/edgeraft/edgeraft/internal/release.version=$version" -o "$out" ./cmd/edgeraft
	if ! is_static "$out"; then
		echo "cross-build: $out is not a static ELF binary" >&2
		exit 1
	fi
	bytes=$(wc -c <"$out" | tr -d ' ')
	printf '%-10s %12d %8s\n' "$target" "$bytes" "$(awk "BEGIN { printf \"%.2f\", $bytes / 1048576 }")"
done
