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
from loadgen.lab.topology.model import IPTABLES, IPVS, NFTABLES

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

_IPVS_SCRIPT = """\
holds_entries() { { read -r heading && read -r entry; } </proc/net/ip_vs_conn; }
knob=/proc/sys/net/ipv4/vs/expire_nodest_conn
read -r old <$knob
echo 1 >$knob
ipvsadm -C || exit 1
looks=0
while holds_entries; do
	looks=$((looks + 1))
	[ $looks -lt 100 ] || { echo "entries stay in the table" >&2; exit 1; }
	sleep 0.02
done
echo "$old" >$knob
ipvsadm -R </run/lab/ipvs.rules || exit 1
"""

SCRIPTS: Mapping[str, str] = {
    IPVS: _IPVS_SCRIPT,
    NFTABLES: "nft -f /run/lab/nft.rules && conntrack -F 2>/dev/null || exit 1\n",
    IPTABLES: """\
iptables-legacy-restore </run/lab/iptables.rules || exit 1
[ ! -e /run/lab/ip6tables.rules ] || ip6tables-legacy-restore </run/lab/ip6tables.rules || exit 1
conntrack -F 2>/dev/null || exit 1
""",
}
"""What empties a director, by its kind; without IPVS the order of real servers begins anew too."""

ASK_WHO = "uname -r\nip -o addr show\n"


def settle(topology: Topology, client_namespace: str, config: Path) -> str:
    """Make every director ready; the kernel release of the first one.

    Raises:
        RunFailed: a director cannot be reached by ssh, keeps entries, or holds (lacks) a VIP
            when it should not.
    """
    names = [host.name for host in topology.directors]

    def ask(script: str) -> dict[str, str]:
        answers = ssh.ask_all(names, script, client_namespace, config, limit_s=SETTLE_LIMIT_S)
        return {name: _checked(name, answer) for name, answer in answers.items()}

    synced = f"sleep {SYNC_LAG_S}\n" if topology.sync else ""
    shown = ask(f"{synced}{SCRIPTS[topology.director_kind]}{ASK_WHO}")
    wrong = _wrong_holder(topology, shown)
    # neither a virtual MAC nor the IPv4 VIP's holder shows who has won every election; with BFD the
    # first choice waits for the session, and takes over from the second
    several = topology.use_vmac or topology.ipv6 or topology.bfd
    more_tries = ELECTIONS - 1 if several else 0
    while wrong is not None and more_tries > 0:
        time.sleep(topology.advert_interval_s)
        shown = ask(ASK_WHO)
        wrong = _wrong_holder(topology, shown)
        more_tries -= 1
    if wrong is not None:
        raise RunFailed(wrong)
    return shown[names[0]].split("\n", 1)[0]


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


def _checked(name: str, answer: subprocess.CompletedProcess[str]) -> str:
    """What a director printed, if its script went well."""
    if answer.returncode != 0:
        raise failure(f"director {name}", ["ssh", name], answer.stderr or "no answer")
    return answer.stdout
