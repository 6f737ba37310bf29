"""What a lab is made of, as data: hosts, addresses, virtual IPs, timeouts. Nothing here acts.

The default, ``exercise()``, is the exercise that the program is taught with: a client, two
directors in direct routing, two real servers, one VIP that keepalived moves. ``layout.py`` makes
others from a few numbers, ``contradictions.py`` says which cannot be, ``topology_file.py`` writes
and reads them as TOML.

Every host's MAC address is known before it starts: ``02:00:00:00:00:`` (locally administered)
followed by the last octet of its IPv4 address in hexadecimal, so .11 is ``02:00:00:00:00:0b``.
Its IPv6 address ends like the IPv4 one, so 192.168.10.11 is also ``fd00:10::11``. A capture is
read without a table of who is who.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from analyzer.ipvs.states import Timeouts
from loadgen.errors import UsageProblem

LAB_NAME = re.compile(r"[a-z0-9-]{1,16}")
INTERFACE = "eth1"
OUTSIDE, INSIDE = "192.168.10", "192.168.20"
"""The network of all hosts, and in nat that of the real servers; both /24."""
PREFIX_LENGTH = 24
PREFIX_LENGTH6 = 64
GATEWAY = f"{INSIDE}.1"
"""In nat the real servers' way back; it goes with the VIP."""

IPVS, NFTABLES, IPTABLES = "ipvs", "nftables", "iptables"
"""What forwards on a director: IPVS, or rules that translate the destination."""

KERNEL_TIMEOUTS = Timeouts()
"""What a kernel starts with (net/netfilter/ipvs/ip_vs_proto_tcp.c and ip_vs_proto_udp.c)."""
DIRECTOR_MEMORY_MB = 128


class Role(StrEnum):
    """What a host does in the lab."""

    CLIENT = "client"
    DIRECTOR = "director"
    SERVER = "server"


class Kernel(StrEnum):
    """What a director's kernel is: one of its own, or the machine's, in a network namespace."""

    AUTO = "auto"
    UML = "uml"
    HOST = "host"


def address6(address: str) -> str:
    """The IPv6 address that goes with an IPv4 address of the lab: 192.168.10.21, fd00:10::21."""
    network, _, octet = address.rpartition(".")
    return f"fd00:{network.rpartition('.')[2]}::{octet}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host; ``weight`` is a real server's."""

    name: str
    role: Role
    address: str
    weight: int | None = None

    @property
    def octet(self) -> int:
        """The last one of the address; no two hosts share it."""
        return int(self.address.rpartition(".")[2])

    @property
    def address6(self) -> str:
        """Its IPv6 address, where the lab has them."""
        return address6(self.address)

    @property
    def inside(self) -> str:
        """A director's address in the real servers' network (nat)."""
        return f"{INSIDE}.{self.octet}"

    @property
    def mac(self) -> str:
        """02:00:00:00:00 and the last octet of the address, in hexadecimal."""
        return f"02:00:00:00:00:{self.octet:02x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vip:
    """One virtual IP: who may hold it, the highest VRRP priority first."""

    address: str
    virtual_router_id: int
    priorities: tuple[tuple[str, int], ...]

    @property
    def address6(self) -> str:
        """Its IPv6 twin, where the lab has them."""
        return address6(self.address)

    @property
    def first_master(self) -> str:
        """Who holds it while all are well."""
        return self.priorities[0][0]

    @property
    def label(self) -> str:
        """Its label, by the last octet, on the director's interface."""
        return f"{INTERFACE}:{self.address.rpartition('.')[2]}"

    @property
    def mac(self) -> str:
        """The virtual router's MAC, which its master's VIP has with ``use_vmac`` (RFC 9568)."""
        return f"00:00:5e:00:01:{self.virtual_router_id:02x}"

    def priority(self, director: str) -> int | None:
        """A director's VRRP priority for this VIP; None if it takes no part."""
        return dict(self.priorities).get(director)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """A whole lab; two labs of equal topology behave alike.

    Attributes:
        scheduler_flags: ``ipvsadm -b``, for instance ``mh-port``; None for none.
        udp_port: of a UDP service beside the TCP one, with an echo server behind it; or None.
        director_kind: ``ipvs``, ``nftables`` or ``iptables``.
        sysctls: ``net.ipv4.vs.…`` and their values on every director; of the other kinds
            ``net.netfilter.nf_conntrack_…``.
        sync: the directors keep their entries alike by IPVS's own sync daemon.
        vip_by: ``keepalived``, or ``static``: each VIP stays with its first director.
        conn_tab_bits: the module's parameter; None for the kernel's own.
        kernel_images: pairs of a director and its kernel's image (``kernels.images``); a director
            without one boots the installed User-Mode Linux.
        garp_master_refresh_s: how often a master says again, by gratuitous ARP, where its VIPs
            are; 0 for never, keepalived's default.
        advert_interval_s: seconds between two advertisements; parts of a second in version 3 only.
        vrrp: ``multicast``, or ``unicast`` for a network without it: each director sends to the
            addresses of the others.
        vrrp_version: 2 or 3, of the VIPs' IPv4 instances; those of IPv6 are always version 3.
        nopreempt: a director that returns leaves the VIP where it is.
        preempt_delay_s: seconds for which it waits in addition before it takes the VIP back.
        bfd: the directors watch each other by BFD, and the first choice for a VIP gives it up when
            it no longer hears the second.
        use_vmac: the VIP has a MAC of its own (00:00:5e:00:01 and the router's number, for IPv6
            00:00:5e:00:02), which moves with it.
    """

    hosts: tuple[Host, ...]
    vips: tuple[Vip, ...]
    port: int = 80
    udp_port: int | None = None
    scheduler: str = "rr"
    scheduler_flags: str | None = None
    forwarding: str = "dr"
    timeouts: Timeouts = field(default=KERNEL_TIMEOUTS)
    sysctls: tuple[tuple[str, str], ...] = ()
    sync: bool = False
    ipv6: bool = False
    vip_by: str = "keepalived"
    advert_interval_s: float = 1
    kernel: Kernel = Kernel.AUTO
    director_memory_mb: int = DIRECTOR_MEMORY_MB
    conn_tab_bits: int | None = None
    kernel_images: tuple[tuple[str, str], ...] = ()
    garp_master_refresh_s: int = 0
    director_kind: str = IPVS
    vrrp: str = "multicast"
    vrrp_version: int = 2
    nopreempt: bool = False
    preempt_delay_s: int = 0
    use_vmac: bool = False
    bfd: bool = False

    @property
    def has_ipvs(self) -> bool:
        """Whether the directors run IPVS; else they translate by rules of netfilter."""
        return self.director_kind == IPVS

    @property
    def vip(self) -> str:
        """The first virtual IP."""
        return self.vips[0].address

    @property
    def client(self) -> Host:
        """The host that load is sent from."""
        return self.clients[0]

    @property
    def clients(self) -> tuple[Host, ...]:
        """All hosts that load may be sent from."""
        return self._with(Role.CLIENT)

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
        """The director that holds the first VIP while all are well."""
        return self.host(self.vips[0].first_master)

    def elects_later(self, host: Host) -> bool:
        """Whether its keepalived starts once the first master is there: who comes first stays."""
        is_first = any(vip.first_master == host.name for vip in self.vips)
        stays = self.nopreempt or self.preempt_delay_s > 0 or self.use_vmac
        return host.role is Role.DIRECTOR and stays and not is_first

    def holds(self, address: str) -> bool:
        """Whether it is one of the virtual IPs, of either version where the lab has both."""
        addresses = {vip.address for vip in self.vips}
        return address in (
            addresses | {vip.address6 for vip in self.vips} if self.ipv6 else addresses
        )

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

    def has_own_kernel(self, host: Host) -> bool:
        """Whether the host is a User-Mode Linux: directors, and servers that need ipip (tun)."""
        if self.kernel is Kernel.HOST:
            return False
        return host.role is Role.DIRECTOR or (host.role is Role.SERVER and self.forwarding == "tun")

    def has_sshd(self, host: Host) -> bool:
        """Whether the host is reached by ssh, as a machine would be: all that have a share."""
        return host.role is Role.DIRECTOR or self.has_own_kernel(host)

    def kernel_image(self, host: Host) -> str:
        """The specification of a host's kernel image; "" for the installed one."""
        return dict(self.kernel_images).get(host.name, "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; ``from_dict`` is the way back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Topology:
        """The topology that ``to_dict`` wrote, lists for tuples as JSON has them."""
        known = {field.name: values[field.name] for field in fields(cls)}
        return cls(
            **{
                **known,
                "hosts": tuple(
                    Host(**{**host, "role": Role(host["role"])}) for host in values["hosts"]
                ),
                "vips": tuple(
                    Vip(**{**vip, "priorities": _pairs(vip["priorities"])})
                    for vip in values["vips"]
                ),
                "timeouts": Timeouts(**values["timeouts"]),
                "sysctls": _pairs(values["sysctls"]),
                "kernel_images": _pairs(values["kernel_images"]),
                "kernel": Kernel(values["kernel"]),
            }
        )

    def _with(self, role: Role) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.role is role)


def exercise(timeouts: Timeouts = KERNEL_TIMEOUTS) -> Topology:
    """The exercise's lab: client .250, bal01 .11, bal02 .12, srv01 .21, srv02 .22, VIP .2."""
    return Topology(
        hosts=(
            Host(name="client", role=Role.CLIENT, address="192.168.10.250"),
            Host(name="bal01", role=Role.DIRECTOR, address="192.168.10.11"),
            Host(name="bal02", role=Role.DIRECTOR, address="192.168.10.12"),
            Host(name="srv01", role=Role.SERVER, address="192.168.10.21", weight=1),
            Host(name="srv02", role=Role.SERVER, address="192.168.10.22", weight=1),
        ),
        vips=(
            Vip(
                address="192.168.10.2",
                virtual_router_id=41,
                priorities=(("bal01", 10), ("bal02", 9)),
            ),
        ),
        timeouts=timeouts,
    )


def with_kernel(topology: Topology, kernel: Kernel) -> Topology:
    """The same, on a kernel that has been decided on."""
    return replace(topology, kernel=kernel)


def triple(timeouts: Timeouts, separator: str = ",") -> str:
    """``900,120,300``: the three as ``--timeouts`` takes them, or ``ipvsadm --set`` by blanks."""
    values = (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)
    return separator.join(str(int(value)) for value in values)


def difference(actual: Topology, expected: Topology) -> str:
    """What differs, for a message: ``timeouts 900,120,300 instead of 900,20,300``."""
    values, expected_values = actual.to_dict(), expected.to_dict()
    names = [name for name in values if values[name] != expected_values[name]]
    return "; ".join(_one_difference(actual, expected, name) for name in names)


def _one_difference(actual: Topology, expected: Topology, name: str) -> str:
    if name in ("hosts", "vips", "sysctls"):
        return f"other {name}"
    if name == "kernel_images":
        return f"kernel images {_images(actual)} instead of {_images(expected)}"
    if name == "timeouts":
        return f"timeouts {triple(actual.timeouts)} instead of {triple(expected.timeouts)}"
    return f"{name} {getattr(actual, name)} instead of {getattr(expected, name)}"


def _images(topology: Topology) -> str:
    return ",".join(f"{name}={image}" for name, image in topology.kernel_images) or "as installed"


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


def _pairs(rows: Any) -> tuple[tuple[Any, Any], ...]:
    return tuple((first, second) for first, second in rows)
