"""What a lab is made of, as data: hosts, addresses, the service, timeouts.

Nothing here acts. The default is the exercise that the program is taught with: a client, two
directors in direct routing, two real servers, one VIP that keepalived moves.

Every host's MAC address is known before it starts: ``02:00:00:00:00:`` (locally administered)
followed by the last octet of its IPv4 address in hexadecimal, so .11 is ``02:00:00:00:00:0b``.
A capture is read without a table of who is who.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from loadgen.errors import UsageProblem

LAB_NAME = re.compile(r"[a-z0-9-]{1,16}")
INTERFACE = "eth1"


class Role(StrEnum):
    """What a host does in the lab."""

    CLIENT = "client"
    DIRECTOR = "director"
    SERVER = "server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """The three timeouts that ``ipvsadm --set`` changes, in seconds."""

    tcp_s: int
    tcpfin_s: int
    udp_s: int

    @classmethod
    def parse(cls, text: str) -> Timeouts:
        """Read ``900,120,300``; each at least 1, because 0 means "leave it" to ipvsadm."""
        try:
            tcp_s, tcpfin_s, udp_s = (int(word) for word in text.split(","))
        except ValueError:
            raise UsageProblem(f"timeouts are TCP,TCPFIN,UDP in seconds, not {text!r}") from None
        if min(tcp_s, tcpfin_s, udp_s) < 1:
            raise UsageProblem(f"timeouts are at least 1 second each, not {text!r}")
        return cls(tcp_s=tcp_s, tcpfin_s=tcpfin_s, udp_s=udp_s)

    def __str__(self) -> str:
        return f"{self.tcp_s},{self.tcpfin_s},{self.udp_s}"


KERNEL_TIMEOUTS = Timeouts(tcp_s=900, tcpfin_s=120, udp_s=300)
"""What a kernel starts with (net/netfilter/ipvs/ip_vs_proto_tcp.c and ip_vs_proto_udp.c)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host; ``priority`` (VRRP) is a director's, ``weight`` a real server's."""

    name: str
    role: Role
    address: str
    priority: int | None = None
    weight: int | None = None

    @property
    def mac(self) -> str:
        """02:00:00:00:00 and the last octet of the address, in hexadecimal."""
        return f"02:00:00:00:00:{int(self.address.rpartition('.')[2]):02x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole lab; two labs of equal topology behave alike."""

    hosts: tuple[Host, ...]
    vip: str = "192.168.10.2"
    prefix_length: int = 24
    port: int = 80
    scheduler: str = "rr"
    forwarding: str = "dr"
    timeouts: Timeouts = field(default=KERNEL_TIMEOUTS)
    virtual_router_id: int = 41
    advert_interval_s: int = 1
    director_memory_mb: int = 128

    @property
    def client(self) -> Host:
        """The host that load is sent from."""
        return self._with(Role.CLIENT)[0]

    @property
    def directors(self) -> tuple[Host, ...]:
        """The hosts whose kernels run IPVS."""
        return self._with(Role.DIRECTOR)

    @property
    def servers(self) -> tuple[Host, ...]:
        """The real servers."""
        return self._with(Role.SERVER)

    @property
    def first_master(self) -> Host:
        """The director that holds the VIP while all are well: the highest VRRP priority."""
        return max(self.directors, key=lambda host: host.priority or 0)

    def host(self, name: str) -> Host:
        """The host of that name.

        Raises:
            UsageProblem: there is none; the line names those there are.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise UsageProblem(f"no host {name!r} in the lab; there are {names}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Topology:
        """The topology that ``to_dict`` wrote."""
        hosts = tuple(Host(**{**host, "role": Role(host["role"])}) for host in values["hosts"])
        return cls(**{**values, "hosts": hosts, "timeouts": Timeouts(**values["timeouts"])})

    def _with(self, role: Role) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.role is role)


def exercise(timeouts: Timeouts = KERNEL_TIMEOUTS) -> Topology:
    """The exercise's lab: client .250, bal01 .11, bal02 .12, srv01 .21, srv02 .22, VIP .2."""
    return Topology(
        hosts=(
            Host(name="client", role=Role.CLIENT, address="192.168.10.250"),
            Host(name="bal01", role=Role.DIRECTOR, address="192.168.10.11", priority=10),
            Host(name="bal02", role=Role.DIRECTOR, address="192.168.10.12", priority=9),
            Host(name="srv01", role=Role.SERVER, address="192.168.10.21", weight=1),
            Host(name="srv02", role=Role.SERVER, address="192.168.10.22", weight=1),
        ),
        timeouts=timeouts,
    )


def difference(one: Topology, other: Topology) -> str:
    """What differs, for a message: ``timeouts 900,120,300 instead of 900,20,300``."""
    mine, others = one.to_dict(), other.to_dict()
    names = [name for name in mine if mine[name] != others[name]]
    pairs = ((name, getattr(one, name), getattr(other, name)) for name in names)
    return "; ".join(
        "other hosts" if name == "hosts" else f"{name} {mine} instead of {others}"
        for name, mine, others in pairs
    )


def check_lab_name(name: str) -> str:
    """The name, if it can be part of namespace names and paths.

    Raises:
        UsageProblem: it holds anything but a-z, 0-9 and -, or has more than 16 characters.
    """
    if not LAB_NAME.fullmatch(name):
        raise UsageProblem(f"a lab's name is 1 to 16 of a-z, 0-9 and -, not {name!r}")
    return name


def namespace(lab_name: str, host_name: str) -> str:
    """The network namespace of a host, or of the ``hub`` that all are plugged into."""
    return f"lg-{lab_name}-{host_name}"


def lab_of_namespace(name: str) -> str | None:
    """The lab that a namespace belongs to; host names hold no dash, lab names may."""
    head, dash, _host = name.rpartition("-")
    return head.removeprefix("lg-") if dash and head.startswith("lg-") else None


def port_name(host_name: str) -> str:
    """The host's port on the bridge, inside the hub namespace: a veth's end or a tap."""
    return f"lg-{host_name}"
