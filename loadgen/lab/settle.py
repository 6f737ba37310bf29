"""The last step of ``lab up``, and the proof that ssh works: every director made ready to measure.

One ssh session per director, all at once: wait until the table is empty, set the topology's
timeouts, and tell the kernel's release and who holds the VIP. The services' counters keep the
requests of ``lab up``: ``ipvsadm -Z`` forgets only what the kernel's estimator, which runs each two
seconds, has summed up by then (net/netfilter/ipvs/ip_vs_est.c).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab import ssh
from loadgen.lab.programs import failure
from loadgen.lab.topology import INTERFACE

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from loadgen.lab.topology import Timeouts, Topology

SETTLE_LIMIT_S = 15.0

SCRIPT = f"""\
holds_entries() {{ {{ read -r heading && read -r entry; }} </proc/net/ip_vs_conn; }}
looks=0
while holds_entries; do
	looks=$((looks + 1))
	[ $looks -lt 100 ] || {{ echo "entries stay in the table" >&2; exit 1; }}
	sleep 0.02
done
ipvsadm --set $timeouts && echo $timeouts >/run/lab/timeouts || exit 1
uname -r
ip -4 -o addr show dev {INTERFACE}
"""


def settle(topology: Topology, client_namespace: str, config: Path) -> str:
    """Make every director ready; the kernel release of the first one.

    Raises:
        RunFailed: a director cannot be reached by ssh, keeps entries, or holds (lacks) the VIP
            when it should not.
    """
    script = f"timeouts={shlex.quote(words(topology.timeouts))}\n{SCRIPT}"
    names = [host.name for host in topology.directors]
    answers = ssh.ask_all(names, script, client_namespace, config, limit_s=SETTLE_LIMIT_S)
    for name, answer in answers.items():
        _check(name, answer)
    wanted = topology.first_master.name
    holders = [name for name in names if holds_vip(answers[name].stdout, topology.vip)]
    if holders != [wanted]:
        found = " and ".join(holders) or "no director"
        raise RunFailed(f"{topology.vip} is held by {found}, not by {wanted} alone")
    return answers[wanted].stdout.splitlines()[0]


def words(timeouts: Timeouts) -> str:
    """The three arguments of ``ipvsadm --set``."""
    return f"{timeouts.tcp_s} {timeouts.tcpfin_s} {timeouts.udp_s}"


def holds_vip(addresses: str, vip: str) -> bool:
    """Whether the output of ``ip -o addr`` lists the VIP."""
    return f" inet {vip}/" in addresses


def _check(name: str, answer: subprocess.CompletedProcess[str]) -> None:
    if answer.returncode != 0:
        raise failure(f"director {name}", ["ssh", name], answer.stderr or "no answer")
