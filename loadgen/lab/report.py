"""What ``lab up`` and ``lab status`` tell: looked up by ``inspect``, told as text or JSON."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab import ssh
from loadgen.lab.lab import Lab, brought_up, command_line
from loadgen.lab.settle import holds_vip
from loadgen.lab.topology import INTERFACE, Host, Role, Timeouts

SCHEMA_VERSION = 1
ASK_LIMIT_S = 6.0
ASK_DIRECTOR = f"ipvsadm -L --timeout && ip -4 -o addr show dev {INTERFACE}"
TIMEOUTS_LINE = re.compile(r"Timeout \(tcp tcpfin udp\): (\d+) (\d+) (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostStatus:
    """One host now; the last three are a director's, null where it did not answer."""

    name: str
    role: Role
    address: str
    mac: str
    namespace: str
    pid: int | None
    holds_vip: bool | None
    timeouts: Timeouts | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabStatus:
    """A lab now."""

    name: str
    started: str
    kernel: str
    kernel_release: str
    vip: str
    port: int
    scheduler: str
    forwarding: str
    vip_holder: str | None
    directory: str
    ssh_config: str
    hosts: tuple[HostStatus, ...]


def find(name: str) -> Lab:
    """The running lab of that name.

    Raises:
        UsageProblem: not root.
        RunFailed: it is not up, or damaged.
    """
    if os.geteuid() != 0:
        raise UsageProblem("a lab is root's: try again as root (sudo)")
    lab = brought_up(name)
    up = f"`{command_line('up', name)}`"
    if lab is None:
        raise RunFailed(f"lab {name!r} is not up; {up} brings it up")
    damage = lab.damage()
    if damage:
        raise RunFailed(f"lab {name!r} is damaged: {'; '.join(damage)}; {up} makes it anew")
    return lab


def inspect(name: str) -> LabStatus:
    """Ask every director of a running lab, all at once."""
    lab = find(name)
    answers = ssh.ask_all(
        lab.director_names,
        ASK_DIRECTOR,
        lab.client_namespace,
        lab.ssh_config,
        limit_s=ASK_LIMIT_S,
    )
    printed = {name: done.stdout for name, done in answers.items() if done.returncode == 0}
    hosts = tuple(_host_status(lab, host, printed.get(host.name)) for host in lab.topology.hosts)
    holders = [host.name for host in hosts if host.holds_vip]
    topology = lab.topology
    return LabStatus(
        name=lab.name,
        started=lab.state.started,
        kernel=lab.state.kernel,
        kernel_release=lab.state.kernel_release,
        vip=topology.vip,
        port=topology.port,
        scheduler=topology.scheduler,
        forwarding=topology.forwarding,
        vip_holder=" and ".join(holders) or None,
        directory=str(lab.directory),
        ssh_config=str(lab.ssh_config),
        hosts=hosts,
    )


def parse_timeouts(text: str) -> Timeouts | None:
    """The three numbers that ``ipvsadm -L --timeout`` prints."""
    found = TIMEOUTS_LINE.search(text)
    if found is None:
        return None
    tcp_s, tcpfin_s, udp_s = map(int, found.groups())
    return Timeouts(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)


def as_json(status: LabStatus) -> str:
    """One JSON document."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **asdict(status)}, indent=2)


def as_text(status: LabStatus) -> str:
    """Some lines for a person."""
    service = f"{status.vip}:{status.port} {status.scheduler} {status.forwarding}"
    heading = [
        f"lab {status.name}, up since {status.started}, kernel {status.kernel} "
        f"{status.kernel_release}",
        f"service {service}, VIP held by {status.vip_holder or 'nobody'}",
        "",
        f"{'host':8} {'role':9} {'address':15} {'MAC':17} {'namespace':24} timeouts",
    ]
    return "\n".join(heading + [_host_line(host) for host in status.hosts])


def usage(lab: Lab) -> list[str]:
    """How to go on from ``lab up``."""
    name, master = lab.name, lab.topology.first_master.name
    client = f"{command_line('shell', name)} client -- curl -I {lab.topology.vip}"
    return [
        f"  a burst        loadgen burst --vip {lab.topology.vip} -n 50",
        f"  one request    {client}",
        f"  the table      {command_line('shell', name)} {master} -- ipvsadm -Ln",
        f"  all of it      {command_line('status', name)}",
        f"  the end        {command_line('down', name)}",
    ]


def _host_status(lab: Lab, host: Host, printed: str | None) -> HostStatus:
    is_director = host.role is Role.DIRECTOR
    process = lab.state.directors.get(host.name)
    return HostStatus(
        name=host.name,
        role=host.role,
        address=host.address,
        mac=host.mac,
        namespace=lab.namespace_of(host.name),
        pid=process.pid if process else None,
        holds_vip=None if printed is None else holds_vip(printed, lab.topology.vip),
        timeouts=None if printed is None else parse_timeouts(printed),
        problem="no answer over ssh" if is_director and printed is None else None,
    )


def _host_line(host: HostStatus) -> str:
    timeouts = str(host.timeouts or host.problem or "").strip()
    line = f"{host.name:8} {host.role:9} {host.address:15} {host.mac:17} {host.namespace:24} "
    return (line + timeouts).rstrip()
