#!/bin/sh
# PID 1 of a kernel of its own. The root is the machine's own file tree, read-only (hostfs).
# The kernel's command line hands over LG_SHARE (the host's share, a path on the machine) and
# LG_NAME; the share holds every other setting.
# A lab of an ordinary user: the machine's root is not the guest's, and a set-uid program would lose
# its privilege to the file's owner; so the share brings a plain copy of mount.
PATH=/mnt/bin:/run/lab/bin:/usr/sbin:/usr/bin:/sbin:/bin
# util-linux 2.41 mounts by fsconfig(2), whose options hostfs of 6.12 refuses.
LIBMOUNT_FORCE_MOUNT2=always
export PATH LIBMOUNT_FORCE_MOUNT2

die() {
	echo "loadgen-lab: $LG_NAME: $*"
	power_off
}

# A minimal root has no poweroff; PID 1 that ends is a panic, and a User-Mode Linux ends with it.
power_off() {
	sync
	poweroff -f 2>/dev/null
	echo o >/proc/sysrq-trigger
	sleep 1
	exit 1
}

"$LG_SHARE/bin/mount" -n -t hostfs none /mnt -o "$LG_SHARE" || die "$LG_SHARE cannot be mounted"
mount -n -t proc proc /proc
mount -n -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab /run/sshd /run/root /run/modules/lib /dev/pts
mount -n --move /mnt /run/lab || die "the share $LG_SHARE cannot be moved"
mount -t sysfs sysfs /sys
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount --bind /run/lab/passwd /etc/passwd
mount --bind /run/lab/shadow /etc/shadow
echo "$LG_NAME" >/proc/sys/kernel/hostname

# The kernel's own modules lie in LG_MODULES, where modprobe does not look; the kernel is told to ask by the same way, so that it loads schedulers and the like by itself.
ln -s "$LG_MODULES" /run/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
if [ -e /run/lab/ip_vs.options ]; then
	read -r options </run/lab/ip_vs.options
	modprobe -d /run/modules ip_vs "$options" || die "ip_vs cannot be loaded with $options"
fi
read -r modules </run/lab/modules
# shellcheck disable=SC2086 # several words
modprobe -d /run/modules -a $modules || die "$modules cannot be loaded"

. /run/lab/boot.sh
# Nobody holds the other end of standard input any more: the lab is gone.
power_off
