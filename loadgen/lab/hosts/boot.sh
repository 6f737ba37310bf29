# What a host with a share does at its start, once it has its own /run; sourced by init.sh (a kernel
# of its own) and namespace.sh (a namespace on the machine's kernel). It follows from which files
# the share holds. A fork costs 25 ms in a User-Mode Linux, so: few of them.
# shellcheck shell=sh
share=/run/lab

start_keepalived() {
	vrrp_alone=
	[ -e $share/ipvs.rules ] || vrrp_alone=-P # its checker asks for IPVS
	# shellcheck disable=SC2086 # none or one word
	keepalived $vrrp_alone -f $share/keepalived.conf -n -l -p /run/keepalived.pid -r /run/vrrp.pid \
		-c /run/checkers.pid -b /run/bfd.pid </dev/null >>$share/keepalived.log 2>&1 &
}

keepalived_runs() {
	{ read -r pid </run/keepalived.pid; } 2>/dev/null && [ -e "/proc/$pid/exe" ] # a zombie has none
}

# The pid file goes last when it ends, and comes first when it starts; its child's comes after.
stop_keepalived() {
	keepalived_runs || fail "keepalived does not run"
	kill "$pid"
	while keepalived_runs; do sleep 0.05; done
}

restart_keepalived() {
	keepalived_runs && fail "keepalived runs already"
	rm -f /run/keepalived.pid /run/vrrp.pid /run/checkers.pid /run/bfd.pid
	start_keepalived
	until [ -s /run/vrrp.pid ]; do sleep 0.05; done
}

# The parent goes last: its death is a SIGTERM to its child (PR_SET_PDEATHSIG), who would say goodbye.
kill_keepalived() {
	keepalived_runs || fail "keepalived does not run"
	read -r vrrp </run/vrrp.pid
	kill -STOP "$pid" # so that it does not start another
	kill -9 "$vrrp" "$pid"
}

stop_nginx() {
	read -r pid </run/nginx/nginx.pid && kill "$pid"
}

fail() {
	echo "$*"
	exit 1
}

start_nginx() {
	mkdir -p /run/nginx
	nginx -p /run/nginx/ -c $share/nginx.conf -e error.log </dev/null >>$share/nginx.log 2>&1 &
}

while read -r path value; do
	if [ -e "/proc/sys/net/$path" ]; then
		echo "$value" >"/proc/sys/net/$path" || die "$path cannot be set to $value"
	else
		case $path in ipv4/vs/* | netfilter/*) die "this kernel has no sysctl net/$path" ;; esac
	fi
done <$share/sysctls

ip -batch $share/ip.batch || die "the network cannot be set up"
if [ -e $share/ipvs.rules ]; then
	ipvsadm -R <$share/ipvs.rules || die "the service cannot be set up"
	read -r timeouts <$share/timeouts
	# shellcheck disable=SC2086 # three words
	ipvsadm --set $timeouts || die "the timeouts cannot be set"
fi
if [ -e $share/nft.rules ]; then
	nft -f $share/nft.rules || die "the rules of nftables cannot be set up"
fi
for family in ip ip6; do
	if [ -e $share/${family}tables.rules ]; then
		${family}tables-legacy-restore <$share/${family}tables.rules ||
			die "the rules of iptables cannot be set up"
	fi
done
[ ! -e $share/keepalived.conf ] || [ -e $share/keepalived.later ] || start_keepalived
[ ! -e $share/nginx.conf ] || start_nginx
if [ -e $share/echo.command ]; then
	read -r command <$share/echo.command
	$command </dev/null >>$share/echo.log 2>&1 &
fi
/usr/sbin/sshd -f $share/sshd_config -E $share/sshd.log || die "sshd does not start"
: >$share/ready

# Orders come as lines `TOKEN SCRIPT` on standard input (control.py); the answer is a file of the
# share, and the last thing written is the exit code. Whatever lost its parent is reaped here too.
while read -r token script; do
	(eval "$script") >"$share/said.$token" 2>&1 </dev/null
	echo $? >"$share/done.$token"
done
