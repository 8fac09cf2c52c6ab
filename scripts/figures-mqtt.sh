#!/bin/sh
# Measures what Raft through an MQTT broker (Mosquitto) costs, beside UDP: latency,
# proposals a second, bytes through the broker for each commit with 3, 5 and 9
# devices, bytes while idle, and how long a dead leader is missed with its will and
# without. Takes about five minutes; needs what scripts/test.sh needs.
set -eu
cd "$(dirname "$0")/.."
scripts/test-deps.sh
go test ./integration -count=1 -timeout 20m -run 'TestFigures(MQTT|Will)$' -figures -v "$@" | grep -v -E "^(=== |--- |PASS|ok )"
