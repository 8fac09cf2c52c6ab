#!/bin/sh
# test-deps.sh - install what the tests need besides Go, where it is missing:
# iproute2, nftables, avahi-daemon and dbus (discovery, integration), qemu-user-static
# (the three-process test as ARM code), mmdebstrap, systemd-container and systemd
# (integration/systemd), zsh and fish (their completion), python3 and nodejs (the
# examples in docs), mosquitto (MQTT; its service is stopped again), e2fsprogs and
# util-linux (doctor), btrfs-progs (boltlog). On Debian and its relatives, as root; elsewhere it says what to
# install, which is a failure only with EDGERAFT_TEST_NO_SKIP=1.
set -eu

missing=
need() { # command package
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
PATH=$PATH:/usr/sbin:/sbin
need ip iproute2
need nft nftables
need avahi-daemon avahi-daemon
need dbus-daemon dbus
need qemu-arm-static qemu-user-static
need mmdebstrap mmdebstrap
need systemd-nspawn systemd-container
need systemd-analyze systemd
need zsh zsh
need fish fish
need mosquitto mosquitto
need python3 python3
need node nodejs
need curl curl
need mkfs.ext4 e2fsprogs
need setpriv util-linux
need mkfs.btrfs btrfs-progs
[ "$(id -u)" -eq 0 ] || need fusermount3 fuse3 # root mounts without it
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
	echo "test-deps.sh: not installed, so some tests will be skipped:$missing" >&2
	echo "test-deps.sh: install them, or run this as root on Debian or Ubuntu" >&2
	[ "${EDGERAFT_TEST_NO_SKIP:-}" != 1 ] || exit 1
	exit 0
fi
export DEBIAN_FRONTEND=noninteractive
# An index that fails to load is no matter as long as the packages are found.
apt-get -q update || echo "test-deps.sh: apt-get update failed; trying with the index there is" >&2
# shellcheck disable=SC2086 # a list of packages
apt-get -q -y install --no-install-recommends $missing
case "$missing" in
*mosquitto*)
	# The tests start brokers of their own; a service must not stay behind.
	if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then
		systemctl disable --now mosquitto
	elif [ -x /etc/init.d/mosquitto ]; then
		/etc/init.d/mosquitto stop || true # it was not started
	fi
	;;
esac
