#!/bin/sh
# Measures what Raft through an MQTT broker (Mosquitto) costs, beside UDP: latency,
# proposals a second, bytes through the broker for each commit with 3, 5 and 9
# devices, bytes while idle, how long a dead leader is missed with its will and
# without, and what MQTT adds to the ARMv6 binary: the agent is built as it is, and
# with package mqttcomms replaced by an empty one of the same face. Takes about five minutes; needs what scripts/test.sh needs.
set -eu
cd "$(dirname "$0")/.."
scripts/test-deps.sh
go test ./integration -count=1 -timeout 20m -run 'TestFigures(MQTT|Will)$' -figures -v "$@" | grep -v -E "^(=== |--- |PASS|ok )"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/empty.go" <<'GO'
package mqttcomms

import (
	"errors"
	"log/slog"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

const (
	MaxBrokers    = 8
	MinKeepAlive  = time.Second
	MaxKeepAlive  = 10 * time.Minute
	MinPacket     = 1 << 10
	MaxPacket     = 256 << 10
	DefaultPacket = 64 << 10
)

type (
	Access struct {
		Brokers                                       []string
		User, PasswordFile, CAFile, CertFile, KeyFile string
	}
	Config struct {
		Cluster           string
		Self              raft.NodeID
		Seal              *seal.Sealer
		Access            Access
		KeepAlive, Expiry time.Duration
		MaxPacket         int
		Found, Lost       func(raft.NodeID)
		Logger            *slog.Logger
	}
	Comms struct{}
	Peer  struct {
		ID                   raft.NodeID
		Present, Heard       bool
		LastHeard, RoundTrip time.Duration
	}
	Stats struct {
		SentPackets, SentBytes, ReceivedPackets, ReceivedBytes uint64
		Dropped                                                map[string]uint64
		Stranger                                               string
		StrangerAgo                                            time.Duration
	}
	Status struct {
		Connected     bool
		Broker, Error string
		For           time.Duration
		Refused       []string
		MaxPacket     int
		KeepAlive     time.Duration
	}
)

func ParseBroker(string) error                                { return nil }
func Start(Config) (*Comms, error)                            { return nil, errors.New("left out") }
func (*Comms) Send(raft.Message)                              {}
func (*Comms) SendBatch([]raft.Message)                       {}
func (*Comms) SendSealed(raft.NodeID, []byte)                 {}
func (*Comms) Received() <-chan raft.Message                  { return nil }
func (*Comms) Probe(raft.NodeID)                              {}
func (*Comms) Contact(raft.NodeID) (t time.Time, d time.Duration) { return t, d }
func (*Comms) Echoed(raft.NodeID) (t time.Time)               { return t }
func (*Comms) Peers() []Peer                                  { return nil }
func (*Comms) Stats() (s Stats)                               { return s }
func (*Comms) Status() (s Status)                             { return s }
func (*Comms) Close() error                                   { return nil }
GO
{
	printf '{"Replace":{'
	for f in mqttcomms/*.go; do
		case $f in
		*_test.go) ;;
		mqttcomms/doc.go) printf '"%s":"%s",' "$PWD/$f" "$work/empty.go" ;;
		*) printf '"%s":"",' "$PWD/$f" ;;
		esac
	done
	printf '"%s":""}}' "$PWD/mqttcomms/none.go"
} >"$work/overlay.json"
size() { # flags of go build: bytes of the stripped ARMv6 binary
	CGO_ENABLED=0 GOOS=linux GOARCH=arm GOARM=6 go build "$@" -tags nethttpomithttp2 -trimpath -ldflags "-s -w" -o "$work/bin" ./cmd/edgeraft
	wc -c <"$work/bin"
}
with=$(size)
without=$(size -overlay "$work/overlay.json")
echo "ARMv6 binary, stripped: $((with)) bytes, $((without)) without MQTT: MQTT adds $((with - without))"
