#!/bin/sh
# PID 1 of a director. The root is the machine's own file tree, read-only (hostfs).
# The kernel's command line hands over LG_SHARE (the director's share, a path on the machine) and
# LG_NAME; the share holds every other setting. A fork costs 25 ms in here, so: few of them.
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

die() {
	echo "loadgen-lab: $LG_NAME: $*"
	poweroff -f
	exec sleep 3600
}

mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/lab /run/sshd /run/root /run/modules/lib /dev/pts
mount -t hostfs none /run/lab -o "$LG_SHARE" || die "the share $LG_SHARE cannot be mounted"
mount -t sysfs sysfs /sys
mount -t devpts -o mode=620,ptmxmode=666 devpts /dev/pts
mount --bind /run/lab/passwd /etc/passwd
echo "$LG_NAME" >/proc/sys/kernel/hostname

# The kernel's own modules lie in /usr/lib/uml/modules, where modprobe does not look; the kernel is
# told to ask by the same way, so that it loads schedulers and the like by itself.
ln -s /usr/lib/uml/modules /run/modules/lib/modules
printf '#!/bin/sh\nexec /sbin/modprobe -d /run/modules "$@"\n' >/run/modprobe
chmod 755 /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
modprobe -d /run/modules -a ip_vs ip_vs_rr || die "ip_vs cannot be loaded"

for scope in all default; do
	[ -e /proc/sys/net/ipv6 ] && echo 1 >/proc/sys/net/ipv6/conf/$scope/disable_ipv6
	echo 0 >/proc/sys/net/ipv4/conf/$scope/rp_filter
	echo 0 >/proc/sys/net/ipv4/conf/$scope/send_redirects
done
ip -batch /run/lab/ip.batch || die "the network cannot be set up"
ipvsadm -R </run/lab/ipvs.rules || die "the service cannot be set up"

keepalived -f /run/lab/keepalived.conf -n -l -p /run/keepalived.pid -r /run/vrrp.pid \
	-c /run/checkers.pid </dev/null >/run/lab/keepalived.log 2>&1 &
if [ -s /run/lab/timeouts ]; then
	read -r timeouts </run/lab/timeouts
	# shellcheck disable=SC2086 # three words
	ipvsadm --set $timeouts || die "the timeouts cannot be set"
fi
/usr/sbin/sshd -f /run/lab/sshd_config -E /run/lab/sshd.log || die "sshd does not start"
: >/run/lab/ready

# Whatever lost its parent is reaped while dash waits for sleep.
while :; do
	sleep 3600
done
