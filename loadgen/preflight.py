"""Before the first packet: what this machine and the directors can hold, beside what is asked.

``preflight`` is a pure function of facts; ``read_host`` reads those of this machine.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.lives import CLIENT_TIME_WAIT_S
from loadgen.engines.closing import check_repair
from loadgen.errors import UsageProblem
from loadgen.plan import ClosedModel
from loadgen.pool import check_pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.plan import LoadPlan

CONSENT_ABOVE = 1000
BYTES_PER_ENTRY = 341
"""Of kernel memory for each entry, measured on Linux 6.1 (docs/model.md)."""

_REUSE_AFTER_S = 1.0  # tcp_tw_reuse: a TIME_WAIT port may go out again after a second
_SPARE_FILES = 64
_LONG_CHAIN = 8  # entries in a bucket, on average


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """This machine, or the namespace that the burst is sent from; None for what has no file here.

    Attributes:
        ports: source ports of one address, by ``ip_local_port_range``.
        tw_reuse: ``tcp_tw_reuse``: 0 never, 1 always, 2 on loopback.
        files: descriptors that a process may open.
        conntrack: entries tracked now, and at most.
    """

    ports: int
    tw_reuse: int | None
    files: int
    somaxconn: int | None
    conntrack: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A director's connection table.

    Attributes:
        lifetime_s: of an entry of this burst, at the longest.
    """

    director: str
    buckets: int | None
    lifetime_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the preflight's table.

    Attributes:
        doubt: what stands against the burst here; None if nothing does.
    """

    what: str
    here: str
    doubt: str | None = None


def check_consent(plan: LoadPlan, *, in_lab: bool, agreed: bool) -> None:
    """Many connections to somebody's public address need a yes.

    Raises:
        UsageProblem: it was not given.
    """
    address = ip_address(plan.target.vip)
    ours = in_lab or address.is_private or address.is_loopback or address.is_link_local
    expected = plan.expected_requests
    if ours or agreed or (expected is not None and expected <= CONSENT_ABOVE):
        return
    how_many = "an unknown number of" if expected is None else f"{expected:,}"
    raise UsageProblem(
        f"{how_many} connections to {address}, which is neither private nor loopback nor in the "
        "lab: --yes is needed"
    )


def check_means(plan: LoadPlan) -> None:
    """See that the namespace we stand in lets us do what is asked.

    Raises:
        UsageProblem: it does not.
    """
    if plan.engine == "packets":
        from loadgen.engines.packets.ground import check_ground

        check_ground(plan)
    else:
        check_pool(plan.sources)
    check_repair(plan)


def preflight(plan: LoadPlan, host: Host, tables: Sequence[Table]) -> list[Line]:
    """The table, a line for each thing that may run out."""
    lines = [_own_ports(plan, host), *(_entry_ports(plan, host, table) for table in tables)]
    if plan.engine != "packets":
        lines.append(_files(plan, host))
    lines += [_somaxconn(host), _conntrack(plan, host)]
    return lines + [_table(plan, table) for table in tables]


def as_text(lines: Sequence[Line]) -> list[str]:
    """The lines as they are shown."""
    width = max(len(line.what) for line in lines)
    return [
        f"  {line.what.ljust(width)}  {line.here}" + (f"  ! {line.doubt}" if line.doubt else "")
        for line in lines
    ]


def read_host() -> Host:
    """The facts of the machine and of the network namespace that we stand in."""
    first, last = (_read("net/ipv4/ip_local_port_range") or "32768 60999").split()
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    tracked, most = (
        _number("net/netfilter/nf_conntrack_count"),
        _number("net/netfilter/nf_conntrack_max"),
    )
    return Host(
        ports=int(last) - int(first) + 1,
        tw_reuse=_number("net/ipv4/tcp_tw_reuse"),
        files=files,
        somaxconn=_number("net/core/somaxconn"),
        conntrack=None if tracked is None or most is None else (tracked, most),
    )


def _read(name: str) -> str | None:
    with suppress(OSError):
        return (Path("/proc/sys") / name).read_text()
    return None


def _number(name: str) -> int | None:
    text = _read(name)
    return None if text is None else int(text)


def _pairs(plan: LoadPlan, host: Host) -> int:
    return host.ports * max(len(plan.sources), 1)


def _ports_text(plan: LoadPlan, host: Host) -> str:
    addresses = max(len(plan.sources), 1)
    return f"{addresses:,} address{'es' if addresses > 1 else ''} x {host.ports:,} ports"


def _held_s(plan: LoadPlan, host: Host) -> float:
    """How long our own kernel keeps the port of a connection that has ended."""
    if plan.engine == "packets" or plan.datagram is not None:
        return 0
    if not {"client", "half"} & set(plan.closing.kinds):
        return 0  # whoever closes second keeps nothing
    loopback = ip_address(plan.target.vip).is_loopback
    reused = host.tw_reuse == 1 or (host.tw_reuse == 2 and loopback)
    return _REUSE_AFTER_S if reused else CLIENT_TIME_WAIT_S


def _own_ports(plan: LoadPlan, host: Host) -> Line:
    held_s, pairs = _held_s(plan, host), _pairs(plan, host)
    here = f"{_ports_text(plan, host)}: "
    if not held_s:
        return Line(what="source ports", here=here + "none is held after its close", doubt=None)
    here += f"{pairs / held_s:,.0f} connections/s, each port held {held_s:g} s in TIME_WAIT"
    wanted = _most_per_s(plan)
    too_fast = wanted is not None and wanted > pairs / held_s
    expected = plan.expected_requests
    too_many = expected is None or expected > pairs
    doubt = f"{wanted:,.0f}/s are asked for" if too_fast and too_many else None
    if wanted is None and expected is not None and expected > pairs:
        doubt = f"{expected:,} connections as fast as they go may use up all"
    return Line(what="source ports", here=here, doubt=doubt)


def _entry_ports(plan: LoadPlan, host: Host, table: Table) -> Line:
    pairs = _pairs(plan, host)
    per_s = pairs / table.lifetime_s
    wanted, expected = _most_per_s(plan), plan.expected_requests
    returns = expected is None or expected > pairs
    doubt = None
    if returns and (wanted is None or wanted > per_s):
        doubt = "ports come back while their entries live: port reuse"
    here = f"ports may come back from {per_s:,.0f}/s on while entries live {table.lifetime_s:.0f} s"
    return Line(what=f"entries on {table.director}", here=here, doubt=doubt)


def _files(plan: LoadPlan, host: Host) -> Line:
    open_at_once = _open_at_once(plan)
    each = -(-open_at_once // plan.processes) + _SPARE_FILES if open_at_once is not None else None
    doubt = None
    if each is not None and each > host.files:
        doubt = f"{each:,} are needed in each process (ulimit -n)"
    return Line(what="file descriptors", here=f"{host.files:,} a process", doubt=doubt)


def _somaxconn(host: Host) -> Line:
    here = "not known" if host.somaxconn is None else f"{host.somaxconn:,} (real servers have own)"
    return Line(what="somaxconn", here=here)


def _conntrack(plan: LoadPlan, host: Host) -> Line:
    if host.conntrack is None:
        return Line(what="conntrack", here="not loaded")
    tracked, most = host.conntrack
    expected = plan.expected_requests
    full = expected is not None and tracked + expected > most and plan.engine != "packets"
    doubt = f"{expected:,} more may fill it (nf_conntrack_max)" if full else None
    return Line(what="conntrack", here=f"{tracked:,} of {most:,} entries", doubt=doubt)


def _table(plan: LoadPlan, table: Table) -> Line:
    entries = _entries_at_once(plan, table)
    buckets = "buckets not known" if table.buckets is None else f"{table.buckets:,} buckets"
    if entries is None:
        return Line(what=f"table of {table.director}", here=buckets)
    megabytes = entries * BYTES_PER_ENTRY / 1e6
    here = f"{buckets}, up to {entries:,} entries of this burst ({megabytes:,.1f} MB)"
    long_chains = table.buckets is not None and entries / table.buckets > _LONG_CHAIN
    doubt = "long chains: ip_vs with more conn_tab_bits" if long_chains else None
    return Line(what=f"table of {table.director}", here=here, doubt=doubt)


def _entries_at_once(plan: LoadPlan, table: Table) -> int | None:
    expected, wanted = plan.expected_requests, _most_per_s(plan)
    by_rate = None if wanted is None else round(wanted * table.lifetime_s)
    known = [number for number in (expected, by_rate) if number is not None]
    return min(known, default=None)


def _most_per_s(plan: LoadPlan) -> float | None:
    """The highest rate of the schedule; None where there is none."""
    if isinstance(plan.arrivals, ClosedModel):
        return None
    return max(stage.rate_per_s for stage in plan.arrivals.stages)


def _open_at_once(plan: LoadPlan) -> int | None:
    """Connections that may be open together; None where nothing tells."""
    expected = plan.expected_requests
    if {"never", "half"} & set(plan.closing.kinds):
        return expected
    model = plan.arrivals
    limit = model.concurrency if isinstance(model, ClosedModel) else model.at_once
    known = [number for number in (limit, expected) if number is not None]
    return min(known, default=None)
