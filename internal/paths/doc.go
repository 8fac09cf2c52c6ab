// Package paths is a transport made of several, such as UDP and MQTT, that sends
// each message to a device by the path that is best at the moment.
//
// # The choice
//
// A path to a device counts as broken when it was asked something by it and
// nothing was heard by it since for Patience, or what must be answered was not; and
// it does so until a probe is answered: what is heard shows that it works one way
// only. Of the paths that are not broken, and by which the device was heard lately, the one with the lowest round trip is used;
// a path that is used already stays so unless another is better by a margin. Where
// no path is known to work, or the one to use was not heard from just now, messages go by all of
// them: a message too many is no harm to Raft, one too few costs an election.
//
// An answer goes by the paths by which the device spoke lately, so one device's
// choice serves both directions, and the one that asks finds out what works. Where
// no path works both ways it goes by all, as there may be one for each direction.
//
// # Probes
//
// The paths that are not in use are asked for a sign of life: about twice a minute
// while all is well; a broken one at once, and then with growing pauses. So what
// it costs to know a second path is a few packets a minute for each device that is
// spoken with.
package paths
