"""What cannot be: each contradiction of a topology in one line, before anything is started."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.topology.model import (
    DIRECTOR_MEMORY_MB,
    GATEWAY,
    INSIDE,
    IPTABLES,
    IPVS,
    KERNEL_TIMEOUTS,
    NFTABLES,
    OUTSIDE,
    PREFIX_LENGTH,
    Kernel,
    Role,
    Topology,
    Vip,
    triple,
)
from loadgen.lab.topology.vrrp import vrrp_contradictions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


MOST = {Role.CLIENT: 16, Role.DIRECTOR: 5, Role.SERVER: 16}
MOST_VIPS = 60
SCHEDULERS = (
    *("rr", "wrr", "lc", "wlc", "lblc", "lblcr"),
    *("dh", "sh", "sed", "nq", "fo", "ovf", "mh"),
)
"""Those of Linux 6.1 (net/netfilter/ipvs/)."""
SCHEDULER_FLAGS = {"sh": ("sh-fallback", "sh-port"), "mh": ("mh-fallback", "mh-port")}
FORWARDINGS = ("dr", "nat", "tun")
VIP_BY = ("keepalived", "static")
HOST_NAME = re.compile(r"[a-z][a-z0-9]{0,10}")  # with "lg-" before it within IFNAMSIZ
DIRECTOR_KINDS = (IPVS, NFTABLES, IPTABLES)
SYSCTL_NAME = re.compile(r"net\.ipv4\.vs\.[a-z][a-z0-9_]{0,40}")
CONNTRACK_NAME = re.compile(r"net\.netfilter\.nf_conntrack_[a-z][a-z0-9_]{0,40}")
SYSCTL_VALUE = re.compile(r"-?[0-9]{1,10}( -?[0-9]{1,10}){0,3}")
CONN_TAB_BITS = range(8, 21)
BYTES_PER_BUCKET = 8
DIRECTOR_MEMORY = range(64, 4097)
SSH_PORT = 22


def check(topology: Topology) -> None:
    """Refuse a topology that contradicts itself.

    Raises:
        UsageProblem: the first contradiction, in one line.
    """
    for problem in contradictions(topology):
        raise UsageProblem(problem)


def contradictions(topology: Topology) -> Iterator[str]:
    """One line each; those that rest on earlier ones come after them."""
    yield from _of_counts(topology)
    yield from _of_names_and_addresses(topology)
    yield from _of_words(topology)
    for vip in topology.vips:
        yield from _of_vip(topology, vip)
    yield from _of_service(topology)
    yield from _of_togetherness(topology)
    yield from vrrp_contradictions(topology)
    yield from _of_kernel(topology)
    if not topology.has_ipvs:
        yield from _of_rules(topology)


def _of_counts(topology: Topology) -> Iterator[str]:
    groups = {
        Role.CLIENT: topology.clients,
        Role.DIRECTOR: topology.directors,
        Role.SERVER: topology.servers,
    }
    for role, hosts in groups.items():
        if not 1 <= len(hosts) <= MOST[role]:
            yield f"a lab has 1 to {MOST[role]} {role}s, not {len(hosts)}"
    if not 1 <= len(topology.vips) <= MOST_VIPS:
        yield f"a lab has 1 to {MOST_VIPS} VIPs, not {len(topology.vips)}"


def _of_names_and_addresses(topology: Topology) -> Iterator[str]:
    for host in topology.hosts:
        if not HOST_NAME.fullmatch(host.name) or host.name in ("hub", "bridge"):
            yield f"a host's name is 1 to 11 of a-z and 0-9, a letter first, not {host.name!r}"
        is_inside = host.role is Role.SERVER and topology.forwarding == "nat"
        yield from _of_address(host.name, host.address, INSIDE if is_inside else OUTSIDE)
    for vip in topology.vips:
        yield from _of_address("a VIP", vip.address, OUTSIDE)
    yield from _repeated("hosts are called", [host.name for host in topology.hosts])
    octets = [host.address.rpartition(".")[2] for host in topology.hosts]
    octets += [vip.address.rpartition(".")[2] for vip in topology.vips]
    yield from _repeated("hosts or VIPs have addresses that end with", octets)


def _of_address(what: str, address: str, network: str) -> Iterator[str]:
    allowed = IPv4Network(f"{network}.0/{PREFIX_LENGTH}")
    try:
        inside = IPv4Address(address) in allowed
    except ValueError:
        inside = False
    ends = (str(allowed.network_address), str(allowed.broadcast_address), GATEWAY, f"{OUTSIDE}.1")
    if not inside or address in ends:
        yield f"{what}: expected an address of {network}.2 to {network}.254, not {address!r}"


def _repeated(what: str, values: Sequence[str]) -> Iterator[str]:
    for value in sorted({value for value in values if values.count(value) > 1}):
        yield f"two {what} {value}"


def _of_words(topology: Topology) -> Iterator[str]:
    words = (
        ("scheduler", topology.scheduler, SCHEDULERS),
        ("forwarding", topology.forwarding, FORWARDINGS),
        ("vip_by", topology.vip_by, VIP_BY),
        ("director_kind", topology.director_kind, DIRECTOR_KINDS),
    )
    for name, value, known in words:
        if value not in known:
            yield f"{name} is one of {', '.join(known)}, not {value!r}"
    flags = (topology.scheduler_flags or "").split(",") if topology.scheduler_flags else []
    for flag in flags:
        if flag not in SCHEDULER_FLAGS.get(topology.scheduler, ()):
            yield f"scheduler {topology.scheduler} has no flag {flag!r}"
    pattern = SYSCTL_NAME if topology.has_ipvs else CONNTRACK_NAME
    expected = "net.ipv4.vs.NAME" if topology.has_ipvs else "net.netfilter.nf_conntrack_NAME"
    for name, value in topology.sysctls:
        if not pattern.fullmatch(name):
            yield f"a sysctl is {expected}=NUMBER, not {name!r}"
        if not SYSCTL_VALUE.fullmatch(value):
            yield f"{name}: expected a number, or several with blanks between, not {value!r}"
    yield from _repeated("values for", [name for name, _value in topology.sysctls])


def _of_vip(topology: Topology, vip: Vip) -> Iterator[str]:
    names = [name for name, _priority in vip.priorities]
    values = [priority for _name, priority in vip.priorities]
    known = {host.name for host in topology.directors}
    if not names:
        yield f"VIP {vip.address} has no director"
    for name in names:
        if name not in known:
            yield f"VIP {vip.address}: {name!r} is no director"
    yield from _repeated(f"priorities for VIP {vip.address} are given to", names)
    if any(not 1 <= value <= 254 for value in values):
        yield f"VIP {vip.address}: VRRP priorities are 1 to 254"
    if sorted(set(values), reverse=True) != values:
        yield f"VIP {vip.address}: VRRP priorities differ, and the highest comes first"
    if not 1 <= vip.virtual_router_id <= 255:
        yield f"VIP {vip.address}: virtual_router_id is 1 to 255, not {vip.virtual_router_id}"


def _of_service(topology: Topology) -> Iterator[str]:
    ports = [topology.port] + ([topology.udp_port] if topology.udp_port is not None else [])
    if any(not 1 <= port <= 65535 for port in ports):
        yield "a port is 1 to 65535"
    if topology.port == SSH_PORT:
        yield "port 22 is the directors' own sshd's"
    timeouts = topology.timeouts
    values = (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)
    if any(value < 1 or value != int(value) for value in values):
        yield f"timeouts are whole seconds, at least 1 each, not {triple(timeouts)}"
    weights = [host.weight or 0 for host in topology.servers]
    if not all(0 <= weight <= 65535 for weight in weights):
        yield "a weight is 0 to 65535"
    if not any(weights):
        yield "with all weights 0 no real server gets a connection"
    ids = [str(vip.virtual_router_id) for vip in topology.vips]
    yield from _repeated("VIPs have the virtual_router_id", ids)


def _of_togetherness(topology: Topology) -> Iterator[str]:
    plans = {tuple(name for name, _priority in vip.priorities) for vip in topology.vips}
    masters = {plan[0] for plan in plans if plan}
    if topology.forwarding == "nat" and len(plans) > 1:
        yield "nat wants one plan for all VIPs: the real servers have one way back"
    if topology.sync and topology.vip_by == "static":
        yield "the sync daemon is switched by keepalived: sync and static VIPs do not go together"
    if topology.sync and len(topology.directors) == 1:
        yield "the sync daemon needs a second director"
    if topology.sync and len(masters) > 1:
        yield "keepalived switches the sync daemon with one VIP: sync wants one master for all"


def _of_rules(topology: Topology) -> Iterator[str]:
    """What directors without IPVS do not have."""
    kind = topology.director_kind
    if topology.forwarding != "nat":
        yield f"directors by {kind} translate addresses: forwarding nat, not {topology.forwarding}"
    if topology.scheduler != "rr" or any(host.weight != 1 for host in topology.servers):
        yield f"behind directors by {kind} servers take turns: scheduler rr, and weights 1"
    if topology.timeouts != KERNEL_TIMEOUTS:
        yield (
            f"timeouts are IPVS's; of directors by {kind} they are sysctls, "
            "net.netfilter.nf_conntrack_…_timeout_…"
        )
    if topology.sync:
        yield f"the sync daemon is IPVS's: directors by {kind} have none"
    if topology.conn_tab_bits is not None:
        yield f"conn_tab_bits is IPVS's: directors by {kind} have none"


def _of_kernel(topology: Topology) -> Iterator[str]:
    memory_mb, bits = topology.director_memory_mb, topology.conn_tab_bits
    if memory_mb not in DIRECTOR_MEMORY:
        yield f"a director's memory is {DIRECTOR_MEMORY[0]} to {DIRECTOR_MEMORY[-1]} MB"
    if bits is not None and bits not in CONN_TAB_BITS:
        yield f"conn_tab_bits is {CONN_TAB_BITS[0]} to {CONN_TAB_BITS[-1]}, not {bits}"
    elif bits is not None and BYTES_PER_BUCKET << bits > memory_mb * 1024 * 1024 // 16:
        yield f"a table of 2^{bits} buckets does not fit well into {memory_mb} MB"
    if topology.kernel is Kernel.HOST and bits is not None:
        yield "conn_tab_bits is fixed when a kernel loads ip_vs: not with the host's own kernel"
    if topology.kernel is Kernel.HOST and topology.kernel_images:
        yield "a kernel image is for directors with a kernel of their own: not with kernel host"
    if topology.kernel is Kernel.HOST and memory_mb != DIRECTOR_MEMORY_MB:
        yield "a director's memory can be set only where it has a kernel of its own"
