"""The lab's network as lines for ``ip -batch`` (ip(8)); pure, so a test can read it.

One hub namespace holds a bridge. The client and the real servers are namespaces of their own, each
on a veth whose far end is a port of the bridge; a director's port is the tap that its kernel opens.
Every link is made inside its namespace, so the machine's own namespace never sees one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.topology import INTERFACE, Role, namespace, port_name

if TYPE_CHECKING:
    from loadgen.lab.topology import Host, Topology

HUB = "hub"
BRIDGE = "lg-bridge"


def namespaces(lab_name: str, topology: Topology) -> list[str]:
    """Every namespace of the lab, the hub first; directors live in the hub's."""
    return [namespace(lab_name, name) for name in (HUB, *_namespaced_names(topology))]


def namespaced(topology: Topology) -> list[Host]:
    """The hosts that are namespaces rather than kernels of their own."""
    return [host for host in topology.hosts if host.role is not Role.DIRECTOR]


def namespace_lines(names: list[str]) -> list[str]:
    """Make the namespaces."""
    return [f"netns add {name}" for name in names]


def hub_lines(lab_name: str, topology: Topology) -> list[str]:
    """Inside the hub: the bridge, a veth per namespace, a tap per director.

    ``mcast_snooping 0``: a snooping bridge would keep VRRP adverts from those who sent no IGMP.
    """
    lines = [
        f"link add {BRIDGE} type bridge mcast_snooping 0 forward_delay 0",
        f"link set {BRIDGE} up",
    ]
    for host in topology.hosts:
        lines += _port_lines(lab_name, host)
    return lines


def host_lines(topology: Topology, host: Host) -> list[str]:
    """Inside a host: its address; on a real server the VIP on ``lo`` (direct routing)."""
    lines = [
        "link set lo up",
        f"addr add {host.address}/{topology.prefix_length} dev {INTERFACE}",
        f"link set {INTERFACE} up",
    ]
    if host.role is Role.SERVER:
        lines.append(f"addr add {topology.vip}/32 dev lo label lo:2")
    return lines


def guest_lines(topology: Topology, director: Host) -> list[str]:
    """Inside a director's kernel: User-Mode Linux calls its interface vec0."""
    rename = f"link set vec0 name {INTERFACE} address {director.mac}"
    return [rename, *host_lines(topology, director)]


def sysctls(role: Role) -> dict[str, str]:
    """Files below /proc/sys/net and their values, set before the host's link goes up.

    No IPv6 keeps captures quiet. A real server must neither answer ARP for the VIP on its ``lo``
    (arp_ignore) nor use the VIP in its own ARP requests (arp_announce): ip-sysctl.rst in the
    kernel's documentation.
    """
    quiet = {"ipv6/conf/all/disable_ipv6": "1", "ipv6/conf/default/disable_ipv6": "1"}
    if role is not Role.SERVER:
        return quiet
    return {**quiet, "ipv4/conf/all/arp_ignore": "1", "ipv4/conf/all/arp_announce": "2"}


def _namespaced_names(topology: Topology) -> list[str]:
    return [host.name for host in namespaced(topology)]


def _port_lines(lab_name: str, host: Host) -> list[str]:
    port = port_name(host.name)
    if host.role is Role.DIRECTOR:
        made = [f"tuntap add dev {port} mode tap"]
    else:
        inside = f"name {INTERFACE} address {host.mac} netns {namespace(lab_name, host.name)}"
        made = [f"link add {port} type veth peer {inside}"]
    return [*made, f"link set {port} master {BRIDGE} up"]
