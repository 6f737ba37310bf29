"""The last step of ``lab up``, and the proof that ssh works: every director made ready to measure.

One ssh session per director, all at once. The requests that proved the lab up have left entries,
in nat for two minutes, and a table that is not empty spoils the first measurement. With
``expire_nodest_conn`` an entry goes when its real server does (net/netfilter/ipvs/ip_vs_ctl.c), so
the services are taken away and put back, which also sets their counters to nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab.hosts import ssh
from loadgen.lab.system.programs import failure

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping
    from pathlib import Path

    from loadgen.lab.topology.model import Topology

SETTLE_LIMIT_S = 15.0
ELECTIONS = 5
"""Advertisement intervals within which every VIP is with its first master."""
SYNC_LAG_S = 2.5
"""A sync message waits up to two seconds on its master."""

_WHO = "uname -r\nip -o addr show\n"
IPVS_SCRIPT = f"""\
holds_entries() {{ {{ read -r heading && read -r entry; }} </proc/net/ip_vs_conn; }}
knob=/proc/sys/net/ipv4/vs/expire_nodest_conn
read -r old <$knob
echo 1 >$knob
ipvsadm -C || exit 1
looks=0
while holds_entries; do
	looks=$((looks + 1))
	[ $looks -lt 100 ] || {{ echo "entries stay in the table" >&2; exit 1; }}
	sleep 0.02
done
echo "$old" >$knob
ipvsadm -R </run/lab/ipvs.rules || exit 1
{_WHO}"""

RULES_SCRIPTS = {
    "nftables": f"nft -f /run/lab/nft.rules && conntrack -F 2>/dev/null || exit 1\n{_WHO}",
    "iptables": f"""\
iptables-legacy-restore </run/lab/iptables.rules || exit 1
[ ! -e /run/lab/ip6tables.rules ] || ip6tables-legacy-restore </run/lab/ip6tables.rules || exit 1
conntrack -F 2>/dev/null || exit 1
{_WHO}""",
}
"""Of directors without IPVS: whose turn it is begins anew, and no connection is tracked."""


def settle(topology: Topology, client_namespace: str, config: Path) -> str:
    """Make every director ready; the kernel release of the first one.

    Raises:
        RunFailed: a director cannot be reached by ssh, keeps entries, or holds (lacks) a VIP
            when it should not.
    """
    script = RULES_SCRIPTS.get(topology.director_kind, IPVS_SCRIPT)
    if topology.sync:
        script = f"sleep {SYNC_LAG_S}\n{script}"
    names = [host.name for host in topology.directors]
    # neither a virtual MAC nor the IPv4 VIP's holder shows who has won every election
    tries = ELECTIONS if topology.use_vmac or topology.ipv6 else 1
    for _ in range(tries):
        answers = ssh.ask_all(names, script, client_namespace, config, limit_s=SETTLE_LIMIT_S)
        for name, answer in answers.items():
            _check(name, answer)
        wrong = _wrong_holder(topology, {name: each.stdout for name, each in answers.items()})
        if wrong is None:
            return answers[names[0]].stdout.split("\n", 1)[0]
        time.sleep(topology.advert_interval_s)
    raise RunFailed(wrong)


def _wrong_holder(topology: Topology, addresses: Mapping[str, str]) -> str | None:
    """The first VIP that is not with its first master alone, by each director's addresses."""
    for vip in topology.vips:
        for address in (vip.address, *([vip.address6] if topology.ipv6 else [])):
            holders = [name for name, shown in addresses.items() if holds_vip(shown, address)]
            if holders != [vip.first_master]:
                who = " and ".join(holders) or "nobody"
                return f"{address} is held by {who}, not by {vip.first_master}"
    return None


def holds_vip(addresses: str, vip: str) -> bool:
    """Whether the output of ``ip -o addr`` lists the VIP."""
    return f" {vip}/" in addresses


def _check(name: str, answer: subprocess.CompletedProcess[str]) -> None:
    if answer.returncode != 0:
        raise failure(f"director {name}", ["ssh", name], answer.stderr or "no answer")
