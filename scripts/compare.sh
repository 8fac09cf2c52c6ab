#!/bin/sh
# compare.sh - measures edgeraft's core beside etcd's, go.etcd.io/raft/v3, at
# the same work in turns, and prints the medians of five rounds and how long the
# two are. What is alike and what is not: internal/compare/work_test.go. Needs Go
# only, and about two minutes. Arguments go to the benchmark, such as
# -test.benchtime=3s.
set -eu
cd "$(dirname "$0")/../internal/compare"
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

go test -count=1 . # what is measured is really done
go test -c -o "$tmp/compare.test" .
round=0
while [ $((round += 1)) -le 5 ]; do
	"$tmp/compare.test" -test.run '^$' -test.bench . "$@" >>"$tmp/results"
done
grep '^cpu:' "$tmp/results" | head -n 1
awk '
function median(key,   v, n, i, j, t) {
	n = split(values[key], v, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] + 0 < v[j-1] + 0; j--) { t = v[j]; v[j] = v[j-1]; v[j-1] = t }
	return v[int((n + 1) / 2)]
}
/^BenchmarkPropose/ {
	split($1, part, "/")
	sub(/-[0-9]+$/, "", part[3])
	name = part[2] " " part[3]
	if (!(name in values)) { values[name] = ""; names[++count] = name }
	for (i = 3; i < NF; i += 2)
		values[name " " $(i+1)] = values[name " " $(i+1)] " " $i
}
END {
	row = "%-14s %-15s %12s %8s %10s %10s\n"
	printf row, "work", "core", "proposals/s", "ratio", "B/prop.", "allocs"
	for (k = 1; k <= count; k++) {
		split(names[k], part, " ")
		rate = median(names[k] " proposals/s")
		if (part[2] == "edgeraft") ours = rate
		printf row, part[1], part[2], sprintf("%.0f", rate), sprintf("%.2f", ours / rate), \
			median(names[k] " B/op"), median(names[k] " allocs/op")
	}
	print "ratio: how many times as many proposals edgeraft commits"
}' "$tmp/results"

# Without tests, and without what only a build tag brings in.
count() { # name packages...
	name=$1
	shift
	go list -f '{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}' "$@" | grep . | tr '\n' '\0' | xargs -0 awk -v name="$name" '
	FNR == 1 { block = 0 }
	{ lines++; if (++in_file[FILENAME] > most) { most = in_file[FILENAME]; largest = FILENAME } }
	/^[ \t]*\/\*/ { block = 1 }
	!block && !/^[ \t]*($|\/\/)/ { code++ }
	/\*\// { block = 0 }
	END {
		sub(/.*\//, "", largest)
		for (f in in_file) files++
		printf "%-14s %6d lines in %2d files, %5d of them code; the largest is %s with %d\n", name, lines, files, code, largest, most
	}'
}
etcd=go.etcd.io/raft/v3
count edgeraft github.com/edgeraft/edgeraft/raft
# Its own driver (node.go) and MemoryStorage are among these; it also has joint
# consensus and lease reads, which edgeraft does without.
count etcd $etcd $etcd/quorum $etcd/tracker $etcd/confchange
