// Package systemd tests what people install: the Debian package, and its service
// under a real systemd, in containers that are booted from a Debian root file
// system. That is made once (mmdebstrap) and kept in the user's cache
// directory. The containers are devices on a network of integration/lab.
package systemd
