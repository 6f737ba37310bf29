"""The lab's network as lines for ``ip -batch`` (ip(8)) and sysctls; pure, so a test can read it.

One hub namespace holds a bridge. A host is a namespace of its own on a veth whose far end is a port
of the bridge, or a kernel of its own (``Topology.has_own_kernel``) whose port is the tap that it
opens. Every link is made inside its namespace, so the machine's own namespace never sees one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.topology.model import (
    GATEWAY,
    INTERFACE,
    PREFIX_LENGTH,
    PREFIX_LENGTH6,
    Role,
    address6,
    namespace,
    port_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Host, Topology

HUB = "hub"
GUEST_INTERFACE = "vec0"
"""What User-Mode Linux calls its card."""
BRIDGE = "lg-bridge"
TUNNEL = "tunl0"
"""The device that a kernel makes when it loads ipip: it takes packets from any tunnel."""
TUNNEL6 = "lg-tunnel6"
NO_SOURCE = "preferred_lft 0"
"""An IPv6 address that the director's own packets do not come from: a tunnel's far end holds the
VIP too, and drops what seems to come from itself. keepalived does the same."""


def namespaces(lab_name: str, topology: Topology) -> list[str]:
    """Every namespace of the lab, the hub first; hosts with their own kernel share it."""
    names = [host.name for host in namespaced(topology)]
    return [namespace(lab_name, name) for name in (HUB, *names)]


def namespaced(topology: Topology) -> list[Host]:
    """The hosts that are namespaces rather than kernels of their own."""
    return [host for host in topology.hosts if not topology.has_own_kernel(host)]


def namespace_lines(names: list[str]) -> list[str]:
    """Make the namespaces."""
    return [f"netns add {name}" for name in names]


def hub_lines(lab_name: str, topology: Topology, *, taps: bool = True) -> list[str]:
    """Inside the hub: the bridge, a veth per namespace, a tap per kernel.

    ``mcast_snooping 0``: a snooping bridge would keep VRRP adverts from those who sent no IGMP.
    """
    lines = [
        f"link add {BRIDGE} type bridge mcast_snooping 0 forward_delay 0",
        f"link set {BRIDGE} up",
    ]
    for host in topology.hosts:
        lines += port_lines(lab_name, topology, host, taps=taps)
    return lines


def port_lines(lab_name: str, topology: Topology, host: Host, *, taps: bool = True) -> list[str]:
    """One host's port: a veth or a kernel's tap; without a right to taps, a veth that it reads."""
    port = port_name(host.name)
    if not topology.has_own_kernel(host):
        inside = f"name {INTERFACE} address {host.mac} netns {namespace(lab_name, host.name)}"
        made = [f"link add {port} type veth peer {inside}"]
    elif taps:
        made = [f"tuntap add dev {port} mode tap"]
    else:
        raw = raw_name(host.name)
        made = [f"link add {port} type veth peer name {raw}", f"link set {raw} up promisc on"]
    return [*made, f"link set {port} master {BRIDGE} up"]


def raw_name(host_name: str) -> str:
    """The veth's end that a kernel of its own reads by a raw socket, where it may have no tap."""
    return f"lr-{host_name}"


def host_lines(topology: Topology, host: Host) -> list[str]:
    """Inside a host: its addresses, its links, its routes."""
    return [
        "link set lo up",
        *_own_addresses(topology, host),
        f"link set {INTERFACE} up",
        *_virtual_addresses(topology, host),
        *route_lines(topology, host),
    ]


def route_lines(topology: Topology, host: Host) -> list[str]:
    """What is lost when the link goes down: in nat, the real servers' way back."""
    if host.role is not Role.SERVER or topology.forwarding != "nat":
        return []
    lines = [f"route replace default via {GATEWAY}"]
    if topology.ipv6:
        lines.append(f"route replace ::/0 via {address6(GATEWAY)}")
    return lines


def kernel_lines(topology: Topology, host: Host) -> list[str]:
    """Inside a kernel of its own: its card is there already, under another name."""
    rename = f"link set {GUEST_INTERFACE} name {INTERFACE} address {host.mac}"
    return [rename, *host_lines(topology, host)]


def sysctls(topology: Topology, host: Host) -> dict[str, str]:
    """Files below /proc/sys/net and their values, set before the host's link goes up.

    No IPv6, unless asked for, keeps captures quiet. A real server must neither answer ARP for the
    VIP that it holds itself (arp_ignore) nor use the VIP in its own ARP requests (arp_announce):
    ip-sysctl.rst in the kernel's documentation. An IPv6 node does not answer for an address of
    another interface, so nothing is needed there.
    """
    values = _ipv6_sysctls(topology)
    if host.role is Role.SERVER and topology.forwarding != "nat":
        values |= {"ipv4/conf/all/arp_ignore": "1", "ipv4/conf/all/arp_announce": "2"}
    if host.role is not Role.CLIENT:  # packets come in by one way and go out by another
        values |= {f"ipv4/conf/{scope}/rp_filter": "0" for scope in ("all", "default")}
    if host.role is Role.DIRECTOR:
        values |= {f"ipv4/conf/{scope}/send_redirects": "0" for scope in ("all", "default")}
        if topology.forwarding == "nat":
            values["ipv4/ip_forward"] = "1"
            if topology.ipv6:
                values["ipv6/conf/all/forwarding"] = "1"
        for name, value in topology.sysctls:
            values[name.removeprefix("net.").replace(".", "/")] = value
    return values


def hub_sysctls() -> dict[str, str]:
    """The bridge's namespace takes no part in IPv6."""
    return {f"ipv6/conf/{scope}/disable_ipv6": "1" for scope in ("all", "default")}


def _ipv6_sysctls(topology: Topology) -> dict[str, str]:
    scopes = ("all", "default", GUEST_INTERFACE)
    if not topology.ipv6:
        return {f"ipv6/conf/{scope}/disable_ipv6": "1" for scope in scopes}
    settings = {
        "disable_ipv6": "0",
        "accept_dad": "0",
        "accept_ra": "0",
        "accept_redirects": "0",  # in nat a director would send its servers to the client directly
        "autoconf": "0",
        "router_solicitations": "0",
        "keep_addr_on_down": "1",  # as IPv4 does
    }
    return {f"ipv6/conf/{scope}/{name}": v for scope in scopes for name, v in settings.items()}


def _own_addresses(topology: Topology, host: Host) -> Iterator[str]:
    addresses = [host.address]
    if host.role is Role.DIRECTOR and topology.forwarding == "nat":
        addresses.append(host.inside)
    for address in addresses:
        yield f"addr add {address}/{PREFIX_LENGTH} dev {INTERFACE}"
        if topology.ipv6:
            yield f"addr add {address6(address)}/{PREFIX_LENGTH6} dev {INTERFACE} nodad"


def _virtual_addresses(topology: Topology, host: Host) -> Iterator[str]:
    if host.role is Role.DIRECTOR and topology.vip_by == "static":
        yield from _static_vips(topology, host)
    elif host.role is Role.SERVER and topology.forwarding == "dr":
        for vip in topology.vips:
            yield f"addr add {vip.address}/32 dev lo label lo:{vip.label.partition(':')[2]}"
            if topology.ipv6:
                yield f"addr add {vip.address6}/128 dev lo nodad"
    elif host.role is Role.SERVER and topology.forwarding == "tun":
        yield from _tunnel_vips(topology, host)


def _static_vips(topology: Topology, host: Host) -> Iterator[str]:
    vips = [vip for vip in topology.vips if vip.first_master == host.name]
    for vip in vips:
        yield f"addr add {vip.address}/32 dev {INTERFACE} label {vip.label}"
        if topology.ipv6:
            yield f"addr add {vip.address6}/128 dev {INTERFACE} nodad {NO_SOURCE}"
    if vips and topology.forwarding == "nat":
        yield f"addr add {GATEWAY}/32 dev {INTERFACE}"
        if topology.ipv6:
            yield f"addr add {address6(GATEWAY)}/128 dev {INTERFACE} nodad {NO_SOURCE}"


def _tunnel_vips(topology: Topology, host: Host) -> Iterator[str]:
    yield f"link set {TUNNEL} up"
    for vip in topology.vips:
        yield f"addr add {vip.address}/32 dev {TUNNEL}"
    if topology.ipv6:
        yield f"link add {TUNNEL6} type ip6tnl mode ip6ip6 local {host.address6} remote ::"
        yield f"link set {TUNNEL6} up"
        for vip in topology.vips:
            yield f"addr add {vip.address6}/128 dev {TUNNEL6} nodad"
