// Package mqttcomms carries Raft's messages between devices through a broker of
// MQTT 5 (OASIS MQTT Version 5.0), for devices that cannot reach each other
// directly. The broker is not trusted: messages are sealed end to end by package
// internal/seal, exactly as over UDP. A broker can lose, repeat, delay and
// reorder them, which Raft tolerates, and it sees who speaks with whom.
//
// It promises what Raft needs and no more. Everything goes at QoS 0, is not
// retained, and expires after about an election timeout, so that no broker
// delivers yesterday's heartbeat. What cannot be sent in time is dropped.
//
// # Topics
//
//	edgeraft/CLUSTER/n/ID   what is for the device ID alone; it subscribes
//	edgeraft/CLUSTER/all    what is for several or all; all subscribe
//	edgeraft/CLUSTER/p/ID   presence of the device ID, retained; all subscribe
//
// What a leader says alike to several followers is published once, to all, with
// the addressees in it, so that its uplink does not grow with the cluster
// (as nats-server's Raft does). Followers that need something else get it alone.
//
// # Presence
//
// A device that is connected has a retained message at its presence topic. The
// broker clears it, as the device's will, when the connection is lost, and the
// device itself when it stops. Presence is a hint, as discovery is: whoever may
// publish to the topics can make it up, and it decides nothing.
//
// # The broker
//
// Brokers are tried in the order given, again and again with growing, random
// pauses. Where several are given and no device is heard at the one connected
// to, the next is tried: the others may be there. Who is at another than the
// first tries the earlier ones now and then, so that all end at one. Trouble is told in Status,
// with the topic where the broker refuses one. As a publication at QoS 0 is
// refused silently, every topic is published to once at QoS 1 beforehand.
//
// # Cost
//
// While nothing is sent, only keep-alives wake the device, and those only while
// nothing arrives either.
package mqttcomms
