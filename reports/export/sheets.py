"""The tables behind the charts, as data frames, for other tools.

Units are in the names of the columns; ``t_s`` is seconds since the run's start on the client's
clock. What a run did not measure is empty (NaN), never 0. A table without rows still has its
columns, so that a reader of many runs finds the same files in each.
"""

from __future__ import annotations

from operator import attrgetter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.charts.long_columns import rows_at_a_time
from reports.run.percentiles import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from analyzer.report import Analysis

_KINDS = {"": "string", "f": "float64", "i": "Int64", "b": "boolean"}


def sheet(analysis: Analysis, name: str) -> Iterator[pd.DataFrame]:
    """One table, some rows at a time, each with the same columns and types; at least one piece.

    Args:
        analysis: one run's.
        name: a key of ``SHEETS``.
    """
    columns, items = SHEETS[name]
    yield from _frames(columns, items(analysis))


def kinds_of(columns: str) -> dict[str, str]:
    """The pandas type of each column, by name."""
    words = (word.partition("=")[0].partition(":") for word in columns.split())
    return {name: _KINDS[kind] for name, _, kind in words}


def _frames(columns: str, items: Iterable[Any]) -> Iterator[pd.DataFrame]:
    """A table of the items' attributes: rows of each item if some are arrays, else one row."""
    kinds = kinds_of(columns)
    paths = [
        word.partition("=")[2] or name for name, word in zip(kinds, columns.split(), strict=True)
    ]
    rows: list[dict[str, Any]] = []
    for item in items:
        values = [whole_text(attrgetter(path)(item)) for path in paths]
        row = dict(zip(kinds, values, strict=True))
        arrays = [name for name, value in row.items() if isinstance(value, np.ndarray)]
        for part in rows_at_a_time(*(row[name] for name in arrays)) if arrays else ():
            yield pd.DataFrame(row | dict(zip(arrays, part, strict=True))).astype(kinds)
        rows += [] if arrays else [row]
    empty = {name: pd.Series(dtype=kind) for name, kind in kinds.items()}
    yield pd.DataFrame(rows).astype(kinds) if rows else pd.DataFrame(empty)


def whole_text(value: Any) -> Any:
    """A text without halves of characters, which no frame can hold; anything else as it is."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _packets(analysis: Analysis) -> Iterator[SimpleNamespace]:
    for name, at_s in analysis.timeline.marks.items():
        yield SimpleNamespace(packet=name, t_s=at_s)


def _states(analysis: Analysis) -> Iterator[SimpleNamespace]:
    for series in analysis.pictures.states:
        for state, counts in series.counts.items():
            yield SimpleNamespace(of=series, state=state, entries=counts)


def _lifetimes_of_entries(analysis: Analysis) -> Iterator[SimpleNamespace]:
    for sample in analysis.pictures.lifetime_samples:
        yield SimpleNamespace(
            of=sample,
            source="observed",
            lifetime_s=sample.observed_s,
            uncertainty_s=sample.uncertainty_s,
        )
        yield SimpleNamespace(
            of=sample, source="predicted", lifetime_s=sample.predicted_s, uncertainty_s=0.0
        )


def _percentiles(analysis: Analysis) -> Iterator[SimpleNamespace]:
    latencies = analysis.pictures.latencies
    for row in latencies.percentiles if latencies else ():
        yield SimpleNamespace(latency=name_of(row), share=row.share, ms=row.ms)


def _heat(analysis: Analysis) -> Iterator[SimpleNamespace]:
    latencies = analysis.pictures.latencies
    if latencies is None or latencies.heat is None:
        return
    heat = latencies.heat
    row, column = np.nonzero(heat.counts)
    bounds_ms = 10.0**heat.log_ms
    yield SimpleNamespace(
        sent_from_s=heat.start_s[column],
        sent_to_s=heat.start_s[column + 1],
        from_ms=bounds_ms[row],
        to_ms=bounds_ms[row + 1],
        requests=heat.counts[row, column],
    )


def _syn_retransmissions(analysis: Analysis) -> Iterator[SimpleNamespace]:
    latencies = analysis.pictures.latencies
    for after_s, connects in latencies.syn.steps if latencies else ():
        yield SimpleNamespace(after_s=after_s, connects=connects)


def _connection_packets(analysis: Analysis) -> Iterator[SimpleNamespace]:
    for number, trace in enumerate(analysis.traces):
        directors = ", ".join(trace.directors)
        for packet in trace.packets:
            for leg in packet.legs:
                yield SimpleNamespace(
                    connection=number, trace=trace, directors=directors, packet=packet, leg=leg
                )


def _retentions(analysis: Analysis) -> Iterator[SimpleNamespace]:
    for number, trace in enumerate(analysis.traces):
        for retention in trace.retentions:
            yield SimpleNamespace(connection=number, client=trace.client, of=retention)


def _rows_of(groups: Iterable[Any], name: str) -> Iterator[SimpleNamespace]:
    for group in groups:
        for row in getattr(group, name):
            yield SimpleNamespace(of=group, row=row)


def _lifetimes(analysis: Analysis) -> Iterator[SimpleNamespace]:
    none = SimpleNamespace(mean=None, min=None, max=None, value=None, uncertainty=None)
    for group in analysis.lifetimes:
        yield SimpleNamespace(
            of=group, life=group.lifetime_s or none, measured=group.timeout_measured_s or none
        )


_COUNTERS = "director real_server t_s:f active:i inactive:i"
SHEETS: Mapping[str, tuple[str, Callable[[Analysis], Iterable[Any]]]] = {
    "requests": (
        "ended_s:f=request_ended_s failed:b=request_failed connect_ms:f first_byte_ms:f total_ms:f",
        lambda analysis: [analysis.timeline],
    ),
    "errors": (
        "kind stage status:i requests:i=n first_s:f last_s:f",
        lambda analysis: analysis.requests.errors,
    ),
    "packets": ("packet t_s:f", _packets),
    "counters_polled": (_COUNTERS, lambda analysis: analysis.timeline.observed),
    "counters_predicted": (_COUNTERS, lambda analysis: analysis.timeline.predicted),
    "entries_by_state": (
        "director=of.director source=of.source state t_s:f=of.t_s entries:i",
        _states,
    ),
    "sockets": ("host state t_s:f sockets:i=count", lambda analysis: analysis.timeline.sockets),
    "lifetimes": (
        "director=of.director state=of.state counted=of.counted timeout_name=of.timeout_name "
        "timeout_s:f=of.timeout_s entries:i=of.n entries_expired:i=of.n_expired "
        "lifetime_mean_s:f=life.mean lifetime_min_s:f=life.min lifetime_max_s:f=life.max "
        "lifetime_uncertainty_s:f=life.uncertainty timeout_measured_s:f=measured.value "
        "timeout_uncertainty_s:f=measured.uncertainty granule_s:f=of.granule_s",
        _lifetimes,
    ),
    "lifetimes_of_entries": (
        "director=of.director state=of.state timeout_s:f=of.timeout_s granule_s:f=of.granule_s "
        "source lifetime_s:f uncertainty_s:f",
        _lifetimes_of_entries,
    ),
    "other_tcpfin": (
        "director=answer.director tcpfin_s:f in_force:b=is_own t_s:f=curve.t_s "
        "inactive:i=curve.inactive",
        lambda analysis: analysis.pictures.tcpfin,
    ),
    "real_servers": (
        "director=of.director real_server=row.real_server weight:f=row.weight "
        "entries:i=row.entries entries_expected:f=row.expected",
        lambda analysis: _rows_of(analysis.pictures.shares, "servers"),
    ),
    "peaks": (
        "director=of.director t_s:f=of.t_s real_server=row.real_server real_port:i=row.real_port "
        "forwarding=row.forwarding weight:i=row.weight active:i=row.active inactive:i=row.inactive",
        lambda analysis: _rows_of(analysis.timeline.peaks, "rows"),
    ),
    "latency_percentiles": ("latency share:f ms:f", _percentiles),
    "latency_over_time": ("sent_from_s:f sent_to_s:f from_ms:f to_ms:f requests:i", _heat),
    "syn_repetitions": ("after_s:f connects:i", _syn_retransmissions),
    "connection_packets": (
        "connection:i client=trace.client real_server=trace.real_server directors t_s:f=packet.t_s "
        "packet=packet.flag from=leg.source to=leg.target captured:b=leg.seen",
        _connection_packets,
    ),
    "connection_memories": (
        "connection:i client holder=of.holder state=of.state from_s:f=of.from_s "
        "until_s:f=of.until_s margin_s:f=of.margin_s basis=of.basis",
        _retentions,
    ),
    "events": ("t_s:f host kind detail", lambda analysis: analysis.timeline.events),
}
"""Each table's columns, as ``name:kind=attribute``, and the items that have these attributes."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(frame: pd.DataFrame, *, head: bool = True) -> str:
    """A frame as CSV (RFC 4180), with a head line unless it goes on one.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    safe = frame.copy()
    for name in map(str, safe.select_dtypes("string")):
        suspect = safe[name].str.startswith(_FORMULA).fillna(value=False)
        safe[name] = safe[name].where(~suspect, "'" + safe[name])
    text: str = safe.to_csv(index=False, header=head, lineterminator="\r\n")
    return text
