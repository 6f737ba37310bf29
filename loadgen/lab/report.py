"""The reports of ``lab up`` and ``lab status``: made by ``inspect``, printed as text or JSON."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.proc.formats import parse_timeouts
from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.hosts import ssh
from loadgen.lab.lab import Lab, brought_up, command_line
from loadgen.lab.settle import holds_vip
from loadgen.lab.topology.model import INTERFACE, IPVS, Host, Role, triple

if TYPE_CHECKING:
    from analyzer.ipvs.states import Timeouts

SCHEMA_VERSION = 2
ASK_LIMIT_S = 6.0
_ADDRESSES = f"ip -4 -o addr show dev {INTERFACE}"
ASK_IPVS = f"uname -r && ipvsadm -L --timeout && {_ADDRESSES}"
ASK_RULES = f"uname -r && {_ADDRESSES}"
KERNELS = {"uml": "User-Mode Linux", "host": "this machine's own"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host now; from ``holds_vip`` on a director's, null where it did not answer.

    Attributes:
        holds_vip: whether it holds the lab's first VIP.
        vips: all VIPs that it holds.
    """

    name: str
    role: Role
    address: str
    mac: str
    namespace: str
    pid: int | None
    weight: int | None
    holds_vip: bool | None
    vips: tuple[str, ...] | None
    timeouts: Timeouts | None
    kernel_release: str | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """A lab now; ``vip`` and ``vip_holder`` are the first VIP's, ``vips`` has all of them."""

    name: str
    started: str
    kernel: str
    kernel_release: str
    vip: str
    vips: dict[str, str | None]
    port: int
    udp_port: int | None
    scheduler: str
    director_kind: str
    forwarding: str
    vip_by: str
    sync: bool
    ipv6: bool
    vip_holder: str | None
    directory: str
    ssh_config: str
    hosts: tuple[HostStatus, ...]

    @property
    def problems(self) -> list[str]:
        """Why a fail-over begun now would prove nothing; empty when all is as it should be.

        About one boot in a hundred comes up without network, and then both directors believe
        themselves master.
        """
        wrong = {
            vip: holder for vip, holder in self.vips.items() if holder is None or " " in holder
        }
        ill = [f"{host.name}: {host.problem}" for host in self.hosts if host.problem]
        return [f"{vip} is held by {holder or 'nobody'}" for vip, holder in wrong.items()] + ill


def find(name: str) -> Lab:
    """The running lab of that name.

    Raises:
        UsageProblem: not root.
        RunFailed: it is not up, or damaged.
    """
    if os.geteuid() != 0:
        raise UsageProblem("a lab needs root: try again as root (sudo)")
    lab = brought_up(name)
    up = f"`{command_line('up', name)}`"
    if lab is None:
        raise RunFailed(f"lab {name!r} is not up; {up} brings it up")
    damage = lab.damage()
    if damage:
        raise RunFailed(f"lab {name!r} is damaged: {'; '.join(damage)}; {up} makes it anew")
    return lab


def inspect(name: str) -> LabStatus:
    """Ask every living director of a running lab, all at once."""
    lab = find(name)
    living = [director for director in lab.director_names if director not in lab.state.crashed]
    script = ASK_IPVS if lab.topology.has_ipvs else ASK_RULES
    answers = ssh.ask_all(living, script, lab.client_namespace, lab.ssh_config, limit_s=ASK_LIMIT_S)
    printed = {name: done.stdout for name, done in answers.items() if done.returncode == 0}
    hosts = tuple(_host_status(lab, host, printed.get(host.name)) for host in lab.topology.hosts)
    topology = lab.topology
    vips = {vip.address: _holders(hosts, vip.address) for vip in topology.vips}
    return LabStatus(
        name=lab.name,
        started=lab.state.started,
        kernel=lab.state.kernel,
        kernel_release=lab.state.kernel_release,
        vip=topology.vip,
        vips=vips,
        port=topology.port,
        udp_port=topology.udp_port,
        scheduler=topology.scheduler,
        director_kind=topology.director_kind,
        forwarding=topology.forwarding,
        vip_by=topology.vip_by,
        sync=topology.sync,
        ipv6=topology.ipv6,
        vip_holder=vips[topology.vip],
        directory=str(lab.directory),
        ssh_config=str(lab.ssh_config),
        hosts=hosts,
    )


def to_document(status: LabStatus) -> dict[str, Any]:
    """The document that ``--json`` prints."""
    return {"schema_version": SCHEMA_VERSION, **asdict(status), "problems": status.problems}


def to_lines(status: LabStatus) -> list[str]:
    """Some lines for a person."""
    kernel = f"{KERNELS[status.kernel]} {status.kernel_release}"
    heading = [
        f"lab {status.name}, up since {status.started}, kernel {status.kernel} ({kernel})",
        *(
            f"service {vip}:{status.port} {_kind(status)}{status.scheduler} {status.forwarding}, "
            f"VIP held by {holder or 'nobody'}"
            for vip, holder in status.vips.items()
        ),
        "",
        f"{'host':8} {'role':9} {'address':15} {'MAC':17} {'namespace':24} kernel, timeouts",
    ]
    return heading + [_host_line(host) for host in status.hosts]


def _kind(status: LabStatus) -> str:
    return "" if status.director_kind == IPVS else f"{status.director_kind} "


def usage(lab: Lab) -> list[str]:
    """How to go on from ``lab up``."""
    name, master = lab.name, lab.topology.first_master.name
    table = "ipvsadm -Ln" if lab.topology.has_ipvs else "conntrack -L"
    client = f"{command_line('shell', name)} client -- curl -I {lab.topology.vip}"
    return [
        f"  a burst        loadgen burst --vip {lab.topology.vip} -n 50",
        f"  one request    {client}",
        f"  the table      {command_line('shell', name)} {master} -- {table}",
        f"  all of it      {command_line('status', name)}",
        f"  the end        {command_line('down', name)}",
    ]


def _holders(hosts: tuple[HostStatus, ...], vip: str) -> str | None:
    return " and ".join(host.name for host in hosts if host.vips and vip in host.vips) or None


def _host_status(lab: Lab, host: Host, printed: str | None) -> HostStatus:
    process = lab.state.processes.get(host.name)
    vips = None if printed is None else _vips_in(lab, printed)
    return HostStatus(
        name=host.name,
        role=host.role,
        address=host.address,
        mac=host.mac,
        namespace=lab.namespace_of(host.name),
        pid=process.pid if process and host.name not in lab.state.crashed else None,
        weight=host.weight,
        holds_vip=None if vips is None else lab.topology.vip in vips,
        vips=vips,
        timeouts=None if printed is None else parse_timeouts(printed),
        kernel_release=None if printed is None else printed.split("\n", 1)[0],
        problem=_problem(lab, host, printed),
    )


def _vips_in(lab: Lab, printed: str) -> tuple[str, ...]:
    addresses = [vip.address for vip in lab.topology.vips]
    return tuple(address for address in addresses if holds_vip(printed, address))


def _problem(lab: Lab, host: Host, printed: str | None) -> str | None:
    if host.name in lab.state.crashed:
        return "crashed"
    silent = host.role is Role.DIRECTOR and printed is None
    return "no answer over ssh" if silent else None


def _host_line(host: HostStatus) -> str:
    facts = [host.kernel_release or "", triple(host.timeouts) if host.timeouts else ""]
    director = " ".join(facts).strip() or host.problem or ""
    line = f"{host.name:8} {host.role:9} {host.address:15} {host.mac:17} {host.namespace:24} "
    return (line + director).rstrip()
