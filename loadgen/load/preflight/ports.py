"""Source ports: how many there are, who holds them for how long, and the rate they last for."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from analyzer.forecast.closings import CLOSINGS
from analyzer.forecast.lifetimes import CLIENT_TIME_WAIT_S
from loadgen.load.engines.packets.ports import PORTS as PACKETS_PORTS
from loadgen.load.preflight.facts import PreflightLine

if TYPE_CHECKING:
    from loadgen.load.plan import LoadPlan
    from loadgen.load.preflight.facts import DirectorTable, HostLimits

_WHAT = "source ports"
_KEEP_THEIRS = frozenset(kind for kind, way in CLOSINGS.items() if way.stays_open)
_IN_TIME_WAIT = {kind for kind, way in CLOSINGS.items() if way.port == "time-wait"}
_REUSE_AFTER_S = 1.0  # tcp_tw_reuse: a TIME_WAIT port may go out again after a second


def _ports(plan: LoadPlan, host: HostLimits) -> int:
    """Source ports of one address; the packets engine has its own, whatever the kernel has."""
    return PACKETS_PORTS if plan.engine == "packets" else host.ports


def _pairs(plan: LoadPlan, host: HostLimits) -> int:
    """Connections that can stand at a time: a port serves each target anew."""
    return _ports(plan, host) * max(len(plan.sources), 1) * len(plan.targets)


def _ports_text(plan: LoadPlan, host: HostLimits) -> str:
    addresses, targets = max(len(plan.sources), 1), len(plan.targets)
    text = f"{addresses:,} address{'es' if addresses > 1 else ''} x {_ports(plan, host):,} ports"
    return text + (f" x {targets} targets" if targets > 1 else "")


def _held_s(plan: LoadPlan, host: HostLimits) -> float:
    """How long our own kernel keeps the port of a connection that has ended."""
    if plan.datagram is not None or not _IN_TIME_WAIT & set(plan.closing.kinds):
        return 0  # whoever closes second keeps nothing
    loopback = all(ip_address(vip).is_loopback for vip in plan.vips)
    reused = host.tw_reuse == 1 or (host.tw_reuse == 2 and loopback)
    return _REUSE_AFTER_S if reused else CLIENT_TIME_WAIT_S


def source_ports(plan: LoadPlan, host: HostLimits) -> PreflightLine:
    """What the client's addresses and ports can hold."""
    if plan.engine == "packets":
        return _own_ports(plan, host)
    held_s = _held_s(plan, host)
    if held_s:
        return _held_ports(plan, host, held_s, "in TIME_WAIT")
    return PreflightLine(
        what=_WHAT, here=f"{_ports_text(plan, host)}: none is held after its close"
    )


def _own_ports(plan: LoadPlan, host: HostLimits) -> PreflightLine:
    """No kernel holds them: a port goes out again after all others, or when it has rested."""
    pairs, expected = _pairs(plan, host), plan.expected_connections
    if _KEEP_THEIRS & set(plan.closing.kinds) and expected is not None and expected > pairs:
        doubt = f"{expected:,} are asked for, and some are not given back"
        return PreflightLine(what=_WHAT, here=_ports_text(plan, host), doubt=doubt)
    if plan.port_reuse_s:
        return _held_ports(plan, host, plan.port_reuse_s, "by --port-reuse")
    again = "after all others" if plan.port_reuse_s is None else "as soon as it is free"
    here = f"{_ports_text(plan, host)} of its own: each goes out again {again}"
    return PreflightLine(what=_WHAT, here=here)


def _held_ports(plan: LoadPlan, host: HostLimits, held_s: float, why: str) -> PreflightLine:
    """The rate that ports can hold of which each rests for a while."""
    pairs = _pairs(plan, host)
    per_s = pairs / held_s
    rate = f"{per_s:,.0f} connections/s, each port held {held_s:g} s {why}"
    wanted_per_s, expected = plan.most_connections_per_s, plan.expected_connections
    doubt = None
    if expected is None or expected > pairs:
        if wanted_per_s is not None and wanted_per_s > per_s:
            doubt = f"{wanted_per_s:,.0f}/s are asked for"
        elif wanted_per_s is None and expected is not None:
            doubt = f"{expected:,} connections as fast as they go may use up all"
    return PreflightLine(what=_WHAT, here=f"{_ports_text(plan, host)}: {rate}", doubt=doubt)


def entry_ports(plan: LoadPlan, host: HostLimits, table: DirectorTable) -> PreflightLine:
    """Whether a port comes back to a director that still has its last entry."""
    pairs, rest_s = _pairs(plan, host), plan.port_reuse_s
    per_s = pairs / table.lifetime_s
    wanted_per_s, expected = plan.most_connections_per_s, plan.expected_connections
    if rest_s is None:
        here = f"ports may come back from {per_s:,.0f}/s on"
        reused = (expected is None or expected > pairs) and (
            wanted_per_s is None or wanted_per_s > per_s
        )
    else:
        here = f"ports come back after {rest_s:g} s"
        reused = rest_s < table.lifetime_s
    return PreflightLine(
        what=f"entries on {table.director}",
        here=f"{here} while entries last {table.lifetime_s:.0f} s",
        doubt="ports are reused while their entries still exist" if reused else None,
    )
