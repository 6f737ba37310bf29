"""The one renderer of keepalived.conf (keepalived.conf(5))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.lab.topology.model import GATEWAY, INTERFACE, address6

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Host, Topology, Vip

SYNC_ID = 7

GLOBAL = """\
global_defs {{
   router_id {router_id}
{refresh}{sync}}}
"""

INSTANCE = """\

vrrp_instance {instance} {{
    state {state}
    interface {interface}
    virtual_router_id {virtual_router_id}
    priority {priority}
    advert_int {advert_interval_s}

   virtual_ipaddress {{
{addresses}    }}
{excluded}}}
"""


def render(topology: Topology, director: Host) -> str:
    """One director's keepalived.conf: the VIPs by VRRP; IPVS rules are ipvsadm's business.

    IPv6 addresses ride along with their IPv4 VIP (virtual_ipaddress_excluded), and so does the
    inside gateway in nat: what belongs together moves together.
    """
    parts = [
        GLOBAL.format(router_id=director.name, refresh=_refresh(topology), sync=_sync(topology))
    ]
    parts += [_sync_group(topology, director)]
    parts += [_instance(topology, director, number) for number in _numbers(topology, director)]
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


def instance_name(number: int) -> str:
    """The name of a VIP's vrrp_instance; numbers count from 1."""
    return f"VI_{number}"


def _numbers(topology: Topology, director: Host) -> list[int]:
    """The VIPs that a director may hold, by their number."""
    vips = enumerate(topology.vips, start=1)
    return [number for number, vip in vips if vip.priority(director.name) is not None]


def _refresh(topology: Topology) -> str:
    refresh_s = topology.garp_master_refresh_s
    return f"   vrrp_garp_master_refresh {refresh_s}\n" if refresh_s else ""


def _sync(topology: Topology) -> str:
    if not topology.sync:
        return ""
    return f"   lvs_sync_daemon {INTERFACE} {instance_name(1)} id {SYNC_ID}\n"


def _sync_group(topology: Topology, director: Host) -> str:
    """In nat all VIPs move together, because the real servers have one way back."""
    numbers = _numbers(topology, director)
    if topology.forwarding != "nat" or len(numbers) < 2:
        return ""
    members = "".join(f"        {instance_name(number)}\n" for number in numbers)
    return f"\nvrrp_sync_group ALL {{\n    group {{\n{members}    }}\n}}\n"


def _instance(topology: Topology, director: Host, number: int) -> str:
    vip = topology.vips[number - 1]
    gateway = topology.forwarding == "nat" and number == 1
    return INSTANCE.format(
        instance=instance_name(number),
        state="MASTER" if vip.first_master == director.name else "BACKUP",
        interface=INTERFACE,
        virtual_router_id=vip.virtual_router_id,
        priority=vip.priority(director.name),
        advert_interval_s=topology.advert_interval_s,
        addresses="".join(f"       {line}\n" for line in _addresses(vip, gateway=gateway)),
        excluded=_excluded(vip, gateway=gateway) if topology.ipv6 else "",
    )


def _addresses(vip: Vip, *, gateway: bool) -> Iterator[str]:
    yield f"{vip.address}/32 dev {INTERFACE} label {vip.label}"
    if gateway:
        yield f"{GATEWAY}/32 dev {INTERFACE}"


def _excluded(vip: Vip, *, gateway: bool) -> str:
    addresses = [vip.address6, *([address6(GATEWAY)] if gateway else [])]
    lines = "".join(f"       {address}/128 dev {INTERFACE}\n" for address in addresses)
    return f"\n   virtual_ipaddress_excluded {{\n{lines}    }}\n"
