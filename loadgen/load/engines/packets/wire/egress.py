"""Where the frames go: interface, next hop and pool, found and checked before anything is sent."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadgen.errors import UsageProblem
from loadgen.load.engines.packets.wire.neighbours import Neighbours
from loadgen.load.engines.packets.wire.versions import version_of
from loadgen.load.engines.wording import request_bytes
from loadgen.rings.packet_socket import hardware_address, hardware_type

if TYPE_CHECKING:
    from loadgen.load.plan import LoadPlan

_ETHERNET = 1
_LIMIT_S = 5.0
_ASKED_S = 3.0
_PROBED_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """Where frames to a VIP leave this host.

    Attributes:
        interface: in the network namespace that we stand in.
        mac: the interface's own, which the frames carry as well.
        next_hop: the VIP, or the router on the way to it.
    """

    interface: str
    mac: bytes
    next_hop: str


def find_egress(vip: str) -> Egress:
    """As the kernel's routes have it.

    Raises:
        UsageProblem: no way there, or none over Ethernet.
    """
    try:
        (route,) = _ip("route", "get", vip)
        interface = str(route["dev"])
        if route.get("type") == "local":
            raise UsageProblem(f"--engine packets: {vip} is an address of this host")
        if hardware_type(interface) != _ETHERNET:
            raise UsageProblem(f"--engine packets: {interface} is no Ethernet interface")
        mac = hardware_address(interface)
    except (OSError, subprocess.SubprocessError, ValueError, LookupError) as error:
        raise UsageProblem(f"--engine packets: no route to {vip}") from error
    return Egress(interface=interface, mac=mac, next_hop=str(route.get("gateway", vip)))


def check_egress(plan: LoadPlan) -> None:
    """See that the addresses are nobody's, that this host keeps out, and that the VIP is near.

    Raises:
        UsageProblem: what stands against it.
    """
    if not plan.sources:
        raise UsageProblem(
            "--engine packets sends from unused addresses: name some that no host has (--local-ips)"
        )
    size = max(len(request_bytes(plan, server_closes=closes)) for closes in (False, True))
    most = version_of(plan.target.vip).mss
    if size > most:
        raise UsageProblem(
            f"--engine packets sends a request in one segment: {size:,} bytes, expected at most "
            f"{most:,}"
        )
    egress = find_egress(plan.target.vip)
    _check_pool(plan, egress)
    _check_forwarding(plan.target.vip, egress.interface)
    _check_wire(plan, egress)


def _check_pool(plan: LoadPlan, egress: Egress) -> None:
    ours = {
        str(address_of_link["local"])
        for link in _ip("address")
        for address_of_link in link.get("addr_info", ())
    }
    ours |= {str(ip_address(address)) for address in (plan.target.vip, egress.next_hop)}
    for address in plan.sources:
        if ip_address(address).is_multicast or ip_address(address).is_unspecified:
            raise UsageProblem(f"--local-ips: no host can have {address}")
        if address in ours:
            raise UsageProblem(
                f"--local-ips: {address} is taken; expected addresses that no host has, "
                "because the kernel would answer for its own"
            )


def _check_forwarding(vip: str, interface: str) -> None:
    """A host that forwards would send on what comes for us, and complain to the server.

    IPv6 is forwarded between all interfaces or none (net/ipv6/ip6_output.c, ip6_forward).
    """
    number = version_of(vip).number
    where = f"net/ipv{number}/conf/{interface if number == 4 else 'all'}/forwarding"
    if Path("/proc/sys", where).read_text().strip() != "0":
        raise UsageProblem(
            f"--engine packets: this host would forward packets that arrive on {interface} "
            f"(sysctl {where.replace('/', '.')}=0)"
        )


def _check_wire(plan: LoadPlan, egress: Egress) -> None:
    try:
        neighbours = Neighbours(egress.interface, egress.mac, plan.sources)
    except OSError as error:
        raise UsageProblem(
            f"--engine packets: no packet socket on {egress.interface}: {error.strerror} "
            "(needs root or CAP_NET_RAW)"
        ) from error
    try:
        taken = neighbours.probe(_PROBED_S)  # before we ask for anything in the name of one of them
        if taken:
            raise UsageProblem(
                f"--local-ips: {taken} is taken: another host on {egress.interface} has it"
            )
        if neighbours.resolve(egress.next_hop, _ASKED_S) is None:
            raise UsageProblem(
                f"--engine packets: nobody on {egress.interface} answers for {egress.next_hop}"
            )
    finally:
        neighbours.close()


def _ip(*words: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        ["ip", "-json", *words], capture_output=True, text=True, check=True, timeout=_LIMIT_S
    )
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows
