"""The table that is shown before the first packet; a pure function of plan and facts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.forecast.closings import CLOSINGS
from loadgen.load.plan import ClosedModel
from loadgen.load.preflight.facts import PreflightLine
from loadgen.load.preflight.ports import entry_ports, source_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.load.plan import LoadPlan
    from loadgen.load.preflight.facts import DirectorTable, HostLimits

BYTES_PER_ENTRY = 341
"""Of kernel memory for each entry, measured on Linux 6.1 (docs/model.md)."""

_SPARE_FILES = 64
_LONG_CHAIN = 8  # entries in a bucket, on average


def preflight(
    plan: LoadPlan, host: HostLimits, tables: Sequence[DirectorTable]
) -> list[PreflightLine]:
    """The table, a line for each thing that may run out."""
    lines = [source_ports(plan, host), *(entry_ports(plan, host, table) for table in tables)]
    if plan.engine != "packets":
        lines.append(_files(plan, host))
    lines += [_somaxconn(host), _conntrack(plan, host)]
    return lines + [_table(plan, table) for table in tables]


def as_text(lines: Sequence[PreflightLine]) -> list[str]:
    """The lines as they are shown."""
    width = max(len(line.what) for line in lines)
    return [
        f"  {line.what.ljust(width)}  {line.here}" + (f"  ! {line.doubt}" if line.doubt else "")
        for line in lines
    ]


def _files(plan: LoadPlan, host: HostLimits) -> PreflightLine:
    open_at_once = _open_at_once(plan)
    per_process = (
        -(-open_at_once // plan.processes) + _SPARE_FILES if open_at_once is not None else None
    )
    doubt = None
    if per_process is not None and per_process > host.files:
        doubt = f"{per_process:,} are needed in each process (ulimit -n)"
    return PreflightLine(what="file descriptors", here=f"{host.files:,} a process", doubt=doubt)


def _somaxconn(host: HostLimits) -> PreflightLine:
    here = "not known" if host.somaxconn is None else f"{host.somaxconn:,} (real servers have own)"
    return PreflightLine(what="somaxconn", here=here)


def _conntrack(plan: LoadPlan, host: HostLimits) -> PreflightLine:
    if host.conntrack is None:
        return PreflightLine(what="conntrack", here="not loaded")
    tracked, most = host.conntrack
    expected = plan.expected_connections
    full = expected is not None and tracked + expected > most and plan.engine != "packets"
    doubt = f"{expected:,} more may fill it (nf_conntrack_max)" if full else None
    return PreflightLine(what="conntrack", here=f"{tracked:,} of {most:,} entries", doubt=doubt)


def _table(plan: LoadPlan, table: DirectorTable) -> PreflightLine:
    entries = _entries_at_once(plan, table)
    buckets = "buckets not known" if table.buckets is None else f"{table.buckets:,} buckets"
    if table.resizes:
        buckets += " now, grows by itself"
    if entries is None:
        return PreflightLine(what=f"table of {table.director}", here=buckets)
    megabytes = entries * BYTES_PER_ENTRY / 1e6
    here = f"{buckets}, up to {entries:,} entries of this burst ({megabytes:,.1f} MB)"
    return PreflightLine(
        what=f"table of {table.director}", here=here, doubt=_table_doubt(table, entries)
    )


def _table_doubt(table: DirectorTable, entries: int) -> str | None:
    if table.most is not None and entries > table.most:
        return f"at most {table.most:,} (conn_max): SYNs beyond get no answer"
    long_chains = table.buckets is not None and entries / table.buckets > _LONG_CHAIN
    return (
        "long chains: ip_vs with more conn_tab_bits" if long_chains and not table.resizes else None
    )


def _entries_at_once(plan: LoadPlan, table: DirectorTable) -> int | None:
    expected, wanted = plan.expected_connections, plan.most_connections_per_s
    by_rate = None if wanted is None else round(wanted * table.lifetime_s)
    known = [number for number in (expected, by_rate) if number is not None]
    return min(known, default=None)


def _open_at_once(plan: LoadPlan) -> int | None:
    """Connections that may be open together; None where nothing tells."""
    expected = plan.expected_connections
    if any(CLOSINGS[kind].stays_open for kind in plan.closing.kinds):
        return expected
    model = plan.arrivals
    limit = model.concurrency if isinstance(model, ClosedModel) else model.at_once
    known = [number for number in (limit, expected) if number is not None]
    return min(known, default=None)
