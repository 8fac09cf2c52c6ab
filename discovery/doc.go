// Package discovery announces this device on the local network and finds the
// others of its cluster, by multicast DNS (RFC 6762) and DNS-based service
// discovery (RFC 6763).
//
// What it finds are hints: addresses at which a device of that ID might
// answer. Anyone on the network can announce anything, so a hint never decides
// membership, identity or trust; the transport's authentication does. Every
// announcement is checked and bounded before it leaves the package, and the
// work one round can cause is bounded too.
//
// A device is announced as
//
//	er-<node id>._edgeraft._udp.local.   SRV er-<node id>.local. port
//	                                     TXT v=1 c=<cluster name> id=<node id>
//
// The host name carries the node ID, not the name of the device, because two
// cards flashed from one image have one name and would share one address.
//
// Multicast does not work everywhere (client isolation, snooping switches,
// VLANs, user-mode emulation). Run therefore never gives up and never stands
// in the way: configured addresses must always work without it.
package discovery
