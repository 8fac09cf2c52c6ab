#!/bin/sh
# compare-storage.sh - measures what the logs of edgeraft, hashicorp and etcd cost
# a card, and what three whole agents do: bytes and flushes that a block device
# is handed, in one run. What is counted and what is alike:
# internal/compare/storage. The device is a file in memory, so that only its
# counters mean anything, and no time. Needs Linux 5.5, root, a loop device,
# mkfs.ext4 and util-linux; about twenty minutes and 2 GB of /dev/shm or
# $TMPDIR, most of it never touched. Arguments go to the measurement:
#
#   -test.run MeasureStores    the logs only
#   -test.run MeasureAgents    the agents only
#   -idle 10m                  how long idle agents are watched
#
# Without arguments it goes on with what flash.commit_window saves and costs, on
# FUSE disks whose syncs take 10 ms; the file system's own writes are not in that.
set -eu
cd "$(dirname "$0")/.."
if [ "$(id -u)" != 0 ]; then
	echo "compare-storage.sh: NOTHING WAS MEASURED: it mounts file systems, and so needs root: sudo $0" >&2
	exit 1
fi
for command in unshare setpriv mkfs.ext4 mount; do
	if ! command -v $command >/dev/null; then
		echo "compare-storage.sh: NOTHING WAS MEASURED: $command is missing (Debian: e2fsprogs, mount, util-linux)" >&2
		exit 1
	fi
done
# In mount namespaces of its own everything is unmounted, and the loop devices
# let go, when the last process here ends, however it does.
if [ "${1:-}" != --unshared ]; then
	exec unshare --mount --propagation private "$0" --unshared "$@"
fi
shift

tmp=$(mktemp -d)
images=${TMPDIR:-/dev/shm}
[ -d "$images" ] || images=$tmp
child=
cleanup() {
	trap '' INT TERM HUP
	[ -z "$child" ] || kill "$child" 2>/dev/null || true
	wait
	for i in 1 2 3; do umount "$tmp/$i" 2>/dev/null || true; done
	rm -rf --one-file-system "$tmp"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# In the background, so that a signal is not kept waiting.
run() {
	"$@" &
	child=$!
	wait "$child"
	child=
}

run go build -o "$tmp/edgeraft" ./cmd/edgeraft
cd internal/compare/storage
run go test -count=1 . # what is measured is really done
run go test -c -o "$tmp/storage.test" .
for i in 1 2 3; do
	mkdir "$tmp/$i"
	image=$(mktemp "$images/compare-storage.XXXXXX")
	# The size decides that of the journal. Nothing is left for the kernel to
	# initialize later.
	truncate -s 2G "$image" &&
		mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$image" &&
		mount -t ext4 -o loop "$image" "$tmp/$i" || { rm -f "$image"; exit 1; }
	rm "$image" # it lives until it is unmounted
done
echo "ext4 as mkfs.ext4 makes it, on loop devices; Linux $(uname -r)"
go list -m -f '{{.Path}} {{.Version}}' github.com/hashicorp/raft-boltdb/v2 github.com/hashicorp/raft-wal \
	go.etcd.io/etcd/server/v3 go.etcd.io/bbolt
# Should this script be killed, the measurement must not live on.
run setpriv --pdeathsig KILL "$tmp/storage.test" -mounts "$tmp/1,$tmp/2,$tmp/3" -agent "$tmp/edgeraft" "$@"
[ $# -gt 0 ] || { cd ../../.. && run env EDGERAFT_TEST_NO_SKIP=1 go test -count=1 -timeout 20m -run 'MeasureWindow$' ./integration -window-table -v; }
