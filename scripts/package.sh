#!/bin/sh
# Builds the Debian packages into dist/ ($DIST) and prints their sizes.
#
#   scripts/package.sh                 armhf, arm64, amd64 and riscv64
#   scripts/package.sh amd64           only these
#
# armhf has ARMv6 code, so it runs on every Raspberry Pi. VERSION names the
# version (1.2.3); without it there is one made of the last commit's number and
# hash, which sorts before the release that CHANGELOG.md has on top. The same
# commit makes the same bytes. Needs Go and git; the packages are made by nfpm,
# whose version is pinned in packaging/nfpm/go.mod.
set -eu
cd "$(dirname "$0")/.."

target_of() { # Debian's name of an architecture -> cross-build.sh's
	case $1 in
	armhf) echo armv6 ;;
	arm64 | amd64 | riscv64) echo "$1" ;;
	*)
		echo "package: unknown architecture \"$1\"; there are: armhf arm64 amd64 riscv64" >&2
		return 2
		;;
	esac
}

[ $# -gt 0 ] || set -- armhf arm64 amd64 riscv64
targets=
for arch in "$@"; do
	targets="$targets $(target_of "$arch")"
done

if [ -z "${VERSION:-}" ]; then
	next=$(sed -n 's/^## \([0-9][0-9.]*\).*/\1/p' CHANGELOG.md | head -n 1)
	VERSION=$next~dev$(git rev-list --count HEAD).$(git rev-parse --short HEAD)
fi
export VERSION
DEB_VERSION=$VERSION-1
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
date=$(git log -1 --format=%cD)
DIST=${DIST:-dist}
export DEB_VERSION SOURCE_DATE_EPOCH DIST

# shellcheck disable=SC2086 # a list of targets
scripts/cross-build.sh $targets >/dev/null

STAGE=$(mktemp -d)
export STAGE
trap 'rm -rf "$STAGE"' EXIT
for shell in bash zsh fish; do
	go run ./cmd/edgeraft completion $shell >"$STAGE/completion.$shell"
done
gzip -9n <packaging/edgeraft.1 >"$STAGE/edgeraft.1.gz"
gzip -9n <CHANGELOG.md >"$STAGE/changelog.gz"
gzip -9n >"$STAGE/changelog.Debian.gz" <<EOF
edgeraft ($DEB_VERSION) unstable; urgency=medium

  * See changelog.gz.

 -- The edgeraft authors <edgeraft@users.noreply.github.com>  $date
EOF
# The licences of what is linked in demand that their notices go with it.
go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/edgeraft | sort -u |
	while read -r module version dir; do
		for notice in "$dir"/LICENSE* "$dir"/LICENCE* "$dir"/COPYING* "$dir"/NOTICE*; do
			[ ! -f "$notice" ] || { printf '== %s %s, %s\n\n' "$module" "$version" "${notice##*/}"; cat "$notice"; printf '\n'; }
		done
	done | gzip -9n >"$STAGE/NOTICES.gz"
mkdir "$STAGE/docs"
cp docs/*.md README.md "$STAGE/docs/"
chmod 644 "$STAGE/docs/"*

nfpm=$STAGE/nfpm
go -C packaging/nfpm build -o "$nfpm" github.com/goreleaser/nfpm/v2/cmd/nfpm
printf '%-10s %14s %18s\n' package 'bytes' 'installed, KiB'
for arch in "$@"; do
	cp "$DIST/edgeraft-linux-$(target_of "$arch")" "$STAGE/edgeraft"
	deb=$DIST/edgeraft_${DEB_VERSION}_$arch.deb
	DEB_ARCH=$arch "$nfpm" package --config packaging/deb/nfpm.yaml --packager deb --target "$deb" >"$STAGE/log" || { cat "$STAGE/log" >&2; exit 1; }
	installed=unknown
	command -v dpkg-deb >/dev/null && installed=$(dpkg-deb --field "$deb" Installed-Size)
	printf '%-10s %14d %18s\n' "$arch" "$(wc -c <"$deb")" "$installed"
done
echo "version $DEB_VERSION, in $DIST/"
