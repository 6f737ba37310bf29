"""The verdict and the findings of a Forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.states import Timeouts
from analyzer.results import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.forecast.lifetimes import EntryLifetime, Wait
    from analyzer.forecast.model import Band, Forecast, PortBudget

LONG_CHAIN = 8.0


def verdict(forecast: Forecast) -> str:
    """How full the table gets and what governs it, in one sentence."""
    rate = f"{number(forecast.question.rate_per_s)} connections/s"
    if forecast.reaches_steady:
        steady = forecast.steady
        inactive, active = _settles(steady.inactive), _settles(steady.active)
        text = f"At {rate} InActConn settles {inactive}, ActiveConn {active}"
    else:
        peak = forecast.peak
        text = (
            f"{number(forecast.duration_s)} s at {rate} fill the table to at most "
            f"{count(peak.inactive)} in InActConn and {count(peak.active)} in ActiveConn"
        )
    return f"{text}; {_governed(_fullest(forecast))}."


def _fullest(forecast: Forecast) -> EntryLifetime:
    """The closing kind of most entries at the end of the load."""
    load_s = forecast.duration_s
    return max(
        forecast.lifetimes,
        key=lambda lifetime: lifetime.share * min(lifetime.lifetime_s.max, load_s),
    )


def count(entries: float) -> str:
    """A number of entries: whole, or with one decimal if it is small."""
    whole = entries >= 10 or abs(entries - round(entries)) < 0.05
    return f"{entries:,.0f}" if whole else f"{entries:,.1f}"


def number(value: float) -> str:
    """A rate or a time: whole from 100 on, else with four significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.4g}"


def waits_for(wait: Wait) -> str:
    """``tcpfin = 30 s``, ``a fixed 120 s``."""
    if wait.timeout_name == "fixed":
        return f"a fixed {number(wait.timeout_s)} s"
    return f"{wait.timeout_name} = {number(wait.timeout_s)} s"


def _settles(band: Band) -> str:
    if count(band.min) == count(band.max):
        return f"at {count(band.max)}"
    return f"between {count(band.min)} and {count(band.max)}"


def _governed(lifetime: EntryLifetime) -> str:
    wait = lifetime.ends
    return (
        f"{'most' if lifetime.share < 1 else 'all'} entries wait in {wait.state} for "
        f"{waits_for(wait)} and, by the kernel's timer, up to {number(wait.granule_s)} s more"
    )


def findings(forecast: Forecast) -> tuple[Finding, ...]:
    """The findings about this load, warnings first."""
    results = [finding for rule in _RULES if (finding := rule(forecast))]
    return tuple(sorted(results, key=lambda finding: finding.severity != "warning"))


def _port_budget(forecast: Forecast) -> Finding | None:
    ports = forecast.ports
    ends_before = forecast.question.duration_s is not None and (
        forecast.duration_s <= ports.returns_after_s
    )
    if not ports.exceeded or ends_before:
        return None
    return _out_of_ports(ports) if ports.binds == "clients" else _back_too_soon(forecast)


def _addresses(n: int) -> str:
    return f"{n:,} source address{'es' if n > 1 else ''}"


def _out_of_ports(ports: PortBudget) -> Finding:
    rate, limit = number(ports.rate_per_s), number(ports.client_limit_per_s or 0)
    return Finding(
        id="port-budget",
        severity="warning",
        title=f"{_addresses(ports.sources)} cannot open {rate} connections/s for long: the "
        "clients run out of source ports",
        evidence=(
            f"A client keeps a connection's source port for {number(ports.client_held_s)} s on "
            f"average, its own TIME_WAIT included. {ports.sources:,} x {ports.ports:,} ports to "
            f"one VIP and port allow {limit}/s; at {rate}/s they are used up after "
            f"{number(ports.returns_after_s)} s. The director's entries alone would allow "
            f"{number(ports.entry_limit_per_s)}/s."
        ),
        advice=f"Use {_addresses(ports.sources_needed)} or more, or have the server close first; "
        "without a free port connects fail (EADDRNOTAVAIL) and the table is emptier than computed.",
    )


def _back_too_soon(forecast: Forecast) -> Finding:
    ports = forecast.ports
    longest = max(forecast.lifetimes, key=lambda lifetime: lifetime.lifetime_s.max)
    return Finding(
        id="port-budget",
        severity="warning",
        title="Source ports return before the director has forgotten them",
        evidence=(
            f"At {number(ports.rate_per_s)}/s from {_addresses(ports.sources)} of {ports.ports:,} "
            f"ports each a port is used again after {number(ports.returns_after_s)} s, but an "
            f"entry lives up to {number(ports.lifetime_s)} s: above "
            f"{number(ports.entry_limit_per_s)}/s new SYNs meet old entries. The table then holds "
            f"at most {ports.sources * ports.ports:,} entries for one VIP and port."
        ),
        advice=f"{_reused(longest.ends.state)} {_addresses(ports.sources_needed)}, or a shorter "
        "timeout, would avoid it.",
    )


_REUSED = {
    "FIN_WAIT": (
        "A SYN that meets an entry in FIN_WAIT revives it, on the same real server; with "
        "net.ipv4.vs.conntrack = 1 and conn_reuse_mode = 2 it is dropped instead, and the client "
        "connects 1 s late."
    ),
    "CLOSE": (
        "A SYN that meets an entry in CLOSE is scheduled anew (conn_reuse_mode = 1); in dr with "
        "net.ipv4.vs.conntrack = 1 it is dropped instead, and the client connects 1 s late."
    ),
    "TIME_WAIT": (
        "A SYN that meets an entry in TIME_WAIT is scheduled anew (conn_reuse_mode = 1) or goes "
        "to the same real server (0), without delay."
    ),
}


def _reused(state: str) -> str:
    return _REUSED.get(state, f"A SYN that meets an entry in {state} goes to the same real server.")


def _table_memory(forecast: Forecast) -> Finding | None:
    memory = forecast.memory
    if memory.chain_length <= LONG_CHAIN:
        return None
    return Finding(
        id="table-memory",
        severity="warning",
        title=f"{memory.entries:,} entries make chains of {memory.chain_length:,.1f} in the "
        "director's hash table",
        evidence=(
            f"{memory.entries:,} entries in {memory.buckets:,} buckets: each packet searches a "
            f"chain of about {memory.chain_length:,.1f}."
        ),
        advice=f"Load ip_vs with conn_tab_bits={memory.enough_bits} (a module parameter, fixed "
        "when it is loaded), or shorten the timeout that governs.",
    )


def _tcpfin_has_no_effect(forecast: Forecast) -> Finding | None:
    question = forecast.question
    ends = [lifetime.ends for lifetime in forecast.lifetimes]
    changed = question.timeouts.tcpfin_s != Timeouts().tcpfin_s
    closed = any(wait.state == "TIME_WAIT" for wait in ends)
    if any(wait.timeout_name == "tcpfin" for wait in ends) or not (changed or closed):
        return None
    states = ", ".join(dict.fromkeys(f"{wait.state} ({waits_for(wait)})" for wait in ends))
    return Finding(
        id="tcpfin-has-no-effect",
        severity="warning" if changed else "info",
        title="tcpfin changes nothing here: no entry ends in FIN_WAIT",
        evidence=f"With forwarding {question.forwarding} and these closes, entries end in {states}."
        if question.protocol == "tcp"
        else "UDP entries wait for the udp timeout alone.",
        advice="Where the director sees both sides, a closed connection waits in TIME_WAIT, fixed "
        "in the kernel at 120 s; only fewer connections make the table smaller."
        if closed
        else f"Change what governs: {states}.",
    )


def _idle_established(forecast: Forecast) -> Finding | None:
    idle = [lifetime for lifetime in forecast.lifetimes if lifetime.survive < 1]
    if not idle:
        return None
    share = sum(lifetime.share * (1 - lifetime.survive) for lifetime in idle)
    wait, lifetime = idle[0].opened, idle[0]
    return Finding(
        id="idle-established",
        severity="warning",
        title=f"{share:.0%} of the entries go while their connections are still open",
        evidence=f"Connections stay silent for {number(lifetime.closes_s)} s, longer than "
        f"{waits_for(wait)}; the entry is gone then, though both ends hold the connection.",
        advice="The next packet of the client is answered with a reset by the director. Raise "
        "tcp above the longest silence, or have the ends send keepalives.",
    )


def _half_closed(forecast: Forecast) -> Finding | None:
    """In nat the server's FIN decides in which state a half-closed connection's entry waits."""
    question = forecast.question
    if question.forwarding not in ("nat", "local") or not question.close.get("half"):
        return None
    return Finding(
        id="half-closed",
        severity="info",
        title="The server is taken to close as soon as its client has",
        evidence="HTTP servers do, and the entry then waits in TIME_WAIT. With a server that keeps "
        "its side open it waits in CLOSE_WAIT (fixed, 60 s) from its last packet on.",
        advice="With such a server expect half of the entries' lifetime and of their number.",
    )


_RULES: tuple[Callable[[Forecast], Finding | None], ...] = (
    _port_budget,
    _table_memory,
    _tcpfin_has_no_effect,
    _idle_established,
    _half_closed,
)
