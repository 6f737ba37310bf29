#!/bin/sh
# A director as a namespace on the machine's own kernel: the first process of its own PID, mount and
# UTS namespaces (hostkernel.py). It gets the same /run as a kernel of its own would.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

die() {
	echo "loadgen-lab: $LG_NAME: $*"
	exit 1
}

echo "$LG_NAME" >/proc/sys/kernel/hostname
mkdir -p "$LG_SHARE/run" || die "the share $LG_SHARE cannot be written"
mount -n -t tmpfs -o mode=755 tmpfs "$LG_SHARE/run" || die "a tmpfs cannot be mounted"
mkdir -p "$LG_SHARE/run/lab" "$LG_SHARE/run/sshd" "$LG_SHARE/run/root"
mount -n --bind "$LG_SHARE" "$LG_SHARE/run/lab" || die "the share $LG_SHARE cannot be mounted"
mount -n --move "$LG_SHARE/run" /run || die "/run cannot be replaced"
mount -n --bind /run/lab/passwd /etc/passwd
mount -n --bind /run/lab/shadow /etc/shadow
. /run/lab/boot.sh
