#!/bin/sh
# The long search for bugs, beyond what scripts/test.sh does: the simulator over
# many seeds, and every fuzz target for a while.
#
#   scripts/campaign.sh [SEEDS [FIRST [FUZZTIME]]]     default 100000 1 60s
set -eu
cd "$(dirname "$0")/.."
seeds=${1:-100000}
first=${2:-1}
fuzztime=${3:-60s}

echo "== $seeds seeds from $first"
go test ./raft/rafttest -timeout 0 -count=1 -run 'Sim$' -v -seeds "$seeds" -first "$first"

go test ./raft/rafttest -timeout 0 -count=1 -run 'Founding$' -v -seeds "$seeds" -first "$first"

grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r dir; do
	grep -h '^func Fuzz' "$dir"/*_test.go | sed 's/^func \([A-Za-z0-9]*\).*/\1/' | while read -r target; do
		echo "== $dir $target, $fuzztime"
		go test "$dir" -count=1 -run '^$' -fuzz "^$target\$" -fuzztime "$fuzztime"
	done
done
