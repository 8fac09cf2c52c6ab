package main

import (
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

// Where a member can be reached in several ways, all of them are shown.
func TestPathsInStatus(t *testing.T) {
	lately, old := int64(120), int64(90_000)
	var out strings.Builder
	printBroker(&out, nil)
	printBroker(&out, &api.MQTT{Broker: "mqtts://b:8883", ForMS: 61_000})
	printMembers(&out, []api.Member{{
		ID: "aaaabbbbccccdddd", Name: "attic", Role: "voter", Address: "mqtt://b:1883", Transport: "mqtt", LastContactMS: &lately, RoundTripUS: 12_345,
		Paths: []api.Path{
			{Transport: "udp", Broken: true, LastContactMS: &old, RoundTripUS: 456},
			{Transport: "mqtt", Used: true, LastContactMS: &lately, RoundTripUS: 12_345},
		},
	}})
	const want = `Broker   NOT connected to mqtts://b:8883 for 1m1s
NAME   ID        ROLE   PATH           RTT    LAG  HEARD
attic  aaaabbbb  voter  mqtt://b:1883  12ms   -    120ms ago
                        udp (broken)   460µs       1m30s ago
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
