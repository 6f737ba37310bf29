"""The one renderer of keepalived.conf (keepalived.conf(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.topology.model import GATEWAY, INTERFACE, address6

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from loadgen.lab.topology.model import Host, Topology, Vip

SYNC_ID = 7

GLOBAL = """\
global_defs {{
   router_id {router_id}
{options}}}
"""

BFD_INTERVAL_MS, BFD_MULTIPLIER = 100, 3
"""A neighbour that is not heard for 0.3 s is down."""

BFD = """\

bfd_instance {neighbour} {{
    neighbor_ip {address}
    source_ip {own}
    min_rx {interval_ms}
    min_tx {interval_ms}
    multiplier {multiplier}
}}
"""

INSTANCE = """\

vrrp_instance {instance} {{
    state {state}
    interface {interface}
    virtual_router_id {virtual_router_id}
    priority {priority}
    advert_int {advert_interval_s:g}
{options}
   virtual_ipaddress {{
{addresses}    }}
}}
"""


def render(topology: Topology, director: Host) -> str:
    """One director's keepalived.conf: the VIPs by VRRP; IPVS rules are ipvsadm's business.

    A VIP's IPv6 address has an instance of its own, as the election of IPv6 is one of its own; it
    is always version 3. In nat the inside gateway goes with the first VIP.
    """
    options = _lines(_global_options(topology), indent=3)
    parts = [GLOBAL.format(router_id=director.name, options=options)]
    parts += _bfd_instances(topology, director)
    parts += [_sync_group(topology, director)]
    for number in _numbers(topology, director):
        for family in _families(topology):
            parts.append(_instance(topology, director, number, family))
    return "".join(parts)


def virtual_servers(topology: Topology) -> list[str]:
    """The services as virtual_server blocks, each with a check of its real servers."""
    blocks = []
    for vip in topology.vips:
        for address in (vip.address, *([vip.address6] if topology.ipv6 else [])):
            blocks.append(_virtual_server(topology, address, topology.port, "TCP"))
            if topology.udp_port is not None:
                blocks.append(_virtual_server(topology, address, topology.udp_port, "UDP"))
    return blocks


def _virtual_server(topology: Topology, vip: str, port: int, protocol: str) -> str:
    flags = (topology.scheduler_flags or "").split(",") if topology.scheduler_flags else []
    lines = [
        f"virtual_server {vip} {port} {{",
        "    delay_loop 2",
        f"    lvs_sched {topology.scheduler}",
        *(f"    {flag}" for flag in flags),
        f"    lvs_method {topology.forwarding.upper()}",
        f"    protocol {protocol}",
    ]
    for server in topology.servers:
        real = server.address6 if ":" in vip else server.address
        lines += [f"    real_server {real} {port} {{", f"        weight {server.weight}"]
        lines += ["        TCP_CHECK {", f"            connect_port {topology.port}"]
        lines += ["            connect_timeout 2", "        }", "    }"]
    return "\n".join([*lines, "}"]) + "\n"


def instance_name(number: int, family: int = 4) -> str:
    """The name of a VIP's vrrp_instance; numbers count from 1."""
    return f"VI_{number}" if family == 4 else f"VI6_{number}"


def _vmac_interface(vip: Vip, family: int = 4) -> str:
    """The interface of a virtual router's own MAC."""
    return f"vrrp{family}.{vip.virtual_router_id}"


def _families(topology: Topology) -> tuple[int, ...]:
    return (4, 6) if topology.ipv6 else (4,)


def _numbers(topology: Topology, director: Host) -> list[int]:
    """The VIPs that a director may hold, by their number."""
    vips = enumerate(topology.vips, start=1)
    return [number for number, vip in vips if vip.priority(director.name) is not None]


def _global_options(topology: Topology) -> Iterator[str]:
    if topology.garp_master_refresh_s:
        yield f"vrrp_garp_master_refresh {topology.garp_master_refresh_s}"
    if topology.sync:
        yield f"lvs_sync_daemon {INTERFACE} {instance_name(1)} id {SYNC_ID}"


def _lines(lines: Iterable[str], *, indent: int) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def _sync_group(topology: Topology, director: Host) -> str:
    """In nat all VIPs move together, because the real servers have one way back."""
    names = [
        instance_name(number, family)
        for number in _numbers(topology, director)
        for family in _families(topology)
    ]
    if topology.forwarding != "nat" or len(names) < 2:
        return ""
    members = _lines(names, indent=8)
    return f"\nvrrp_sync_group ALL {{\n    group {{\n{members}    }}\n}}\n"


def _bfd_instances(topology: Topology, director: Host) -> Iterator[str]:
    """A BFD session with every other director."""
    for other in topology.directors if topology.bfd else ():
        if other != director:
            yield BFD.format(
                neighbour=other.name,
                address=other.address,
                own=director.address,
                interval_ms=BFD_INTERVAL_MS,
                multiplier=BFD_MULTIPLIER,
            )


def _instance(topology: Topology, director: Host, number: int, family: int) -> str:
    vip = topology.vips[number - 1]
    # neither nopreempt nor preempt_delay works with the initial state MASTER (keepalived.conf(5))
    waits = topology.nopreempt or topology.preempt_delay_s
    is_master = vip.first_master == director.name and not waits
    return INSTANCE.format(
        instance=instance_name(number, family),
        state="MASTER" if is_master else "BACKUP",
        interface=INTERFACE,
        virtual_router_id=vip.virtual_router_id,
        priority=vip.priority(director.name),
        advert_interval_s=topology.advert_interval_s,
        options=_lines(_options(topology, director, vip, family), indent=4),
        addresses=_lines(_addresses(topology, number, family), indent=7),
    )


def _options(topology: Topology, director: Host, vip: Vip, family: int) -> Iterator[str]:
    if family == 6 or topology.vrrp_version == 3:
        yield "version 3"
    if topology.nopreempt:
        yield "nopreempt"
    if topology.preempt_delay_s:
        yield f"preempt_delay {topology.preempt_delay_s}"
    if topology.bfd and vip.first_master == director.name:
        # the first choice alone: a backup that loses the master must not give up too
        second, _priority = vip.priorities[1]
        yield from ("track_bfd {", f"    {second}", "}")
    if topology.use_vmac:
        yield f"use_vmac {_vmac_interface(vip, family)}"
    if topology.vrrp == "unicast":
        if topology.use_vmac:
            yield "vmac_xmit_base"
        yield f"unicast_src_ip {_address(director, family)}"
        peers = [host for host in topology.directors if host != director]
        taking_part = [host for host in peers if vip.priority(host.name) is not None]
        yield "unicast_peer {"
        yield from (f"    {_address(host, family)}" for host in taking_part)
        yield "}"


def _address(host: Host, family: int) -> str:
    return host.address if family == 4 else host.address6


def _addresses(topology: Topology, number: int, family: int) -> Iterator[str]:
    """The addresses that move together.

    With a MAC of their own they are on its interface, which keepalived makes, and may not be named
    before.
    """
    vip = topology.vips[number - 1]
    has_gateway = topology.forwarding == "nat" and number == 1
    device = "" if topology.use_vmac else f" dev {INTERFACE}"
    if family == 6:
        addresses = [vip.address6, *([address6(GATEWAY)] if has_gateway else [])]
        yield from (f"{address}/128{device}" for address in addresses)
        return
    yield f"{vip.address}/32{device}{f' label {vip.label}' if device else ''}"
    if has_gateway:
        yield f"{GATEWAY}/32{device}"
