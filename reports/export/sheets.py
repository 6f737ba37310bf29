"""The tables behind the charts, one frame each, for other tools.

Units stand in the columns' names; ``t_s`` is seconds since the run's start on the client's clock.
What a run does not know is empty (NaN), never 0. A table that would have no rows is there with its
columns, so that a reader of many runs finds the same files in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from reports.run.percentiles import name_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from analyzer.predicted.courses import Curve
    from analyzer.results import Analysis

    Rows = Iterable[Mapping[str, object]]

Columns = tuple[tuple[str, str], ...]  # name and pandas type

_CURVE: Columns = (
    *(("director", "string"), ("real_server", "string"), ("t_s", "float64")),
    *(("active", "Int64"), ("inactive", "Int64")),
)


def sheets(analysis: Analysis) -> dict[str, pd.DataFrame]:
    """Every table by its name."""
    return {name: _typed(columns, make(analysis)) for name, (columns, make) in SHEETS.items()}


def _typed(columns: Columns, parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    whole = [part for part in parts if len(part)]
    kinds = dict(columns)
    if not whole:
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns})
    return pd.concat([part.astype(kinds) for part in whole], ignore_index=True)[list(kinds)]


def whole_text(value: Any) -> Any:
    """A text without halves of characters, which no frame can hold; anything else as it is."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _of_columns(columns: Mapping[str, Any]) -> pd.DataFrame:
    return pd.DataFrame({name: whole_text(value) for name, value in columns.items()})


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame([{name: whole_text(value) for name, value in row.items()} for row in rows])


def _requests(analysis: Analysis) -> list[pd.DataFrame]:
    timeline = analysis.timeline
    columns = {
        "ended_s": timeline.request_ended_s,
        "failed": timeline.request_failed,
        "connect_ms": timeline.connect_ms,
        "first_byte_ms": timeline.first_byte_ms,
        "total_ms": timeline.total_ms,
    }
    return [_of_columns(columns)]


def _errors(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {
            "kind": one.kind,
            "stage": one.stage,
            "status": one.status,
            "requests": one.n,
            "first_s": one.first_s,
            "last_s": one.last_s,
        }
        for one in analysis.requests.errors
    ]
    return [_of_rows(rows)]


def _packets(analysis: Analysis) -> list[pd.DataFrame]:
    return [
        _of_columns({"packet": name, "t_s": at_s}) for name, at_s in analysis.timeline.marks.items()
    ]


def _curves(curves: Iterable[Curve]) -> list[pd.DataFrame]:
    return [_of_columns({name: getattr(curve, name) for name, _ in _CURVE}) for curve in curves]


def _states(analysis: Analysis) -> list[pd.DataFrame]:
    return [
        _of_columns(
            {
                "director": course.director,
                "source": course.source,
                "state": state,
                "t_s": course.t_s,
                "entries": counts,
            }
        )
        for course in analysis.pictures.states
        for state, counts in course.counts.items()
    ]


def _sockets(analysis: Analysis) -> list[pd.DataFrame]:
    return [
        _of_columns({"host": one.host, "state": one.state, "t_s": one.t_s, "sockets": one.count})
        for one in analysis.timeline.sockets
    ]


def _lived(analysis: Analysis) -> list[pd.DataFrame]:
    return [
        _of_columns(
            {
                "director": one.director,
                "state": one.state,
                "timeout_s": one.timeout_s,
                "granule_s": one.granule_s,
                "source": source,
                "lifetime_s": values,
                "uncertainty_s": one.uncertainty_s if source == "observed" else 0.0,
            }
        )
        for one in analysis.pictures.lived
        for source, values in (("observed", one.observed_s), ("predicted", one.predicted_s))
    ]


def _shares(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {
            "director": one.director,
            "real_server": server.real_server,
            "weight": server.weight,
            "entries": server.entries,
            "entries_expected": server.expected,
        }
        for one in analysis.pictures.shares
        for server in one.servers
    ]
    return [_of_rows(rows)]


def _other_tcpfin(analysis: Analysis) -> list[pd.DataFrame]:
    return [
        _of_columns(
            {
                "director": one.answer.director,
                "tcpfin_s": one.tcpfin_s,
                "in_force": one.is_own,
                "t_s": one.answer.curve.t_s,
                "inactive": one.answer.curve.inactive,
            }
        )
        for one in analysis.pictures.tcpfin
    ]


def _percentiles(analysis: Analysis) -> list[pd.DataFrame]:
    told = analysis.pictures.latencies
    return [
        _of_columns({"latency": name_of(one), "share": one.share, "ms": one.ms})
        for one in (told.percentiles if told else ())
    ]


def _heat(analysis: Analysis) -> list[pd.DataFrame]:
    told = analysis.pictures.latencies
    if told is None or told.heat is None:
        return []
    heat = told.heat
    row, column = np.nonzero(heat.counts)
    bounds_ms = 10.0**heat.log_ms
    columns = {
        "sent_from_s": heat.start_s[column],
        "sent_to_s": heat.start_s[column + 1],
        "from_ms": bounds_ms[row],
        "to_ms": bounds_ms[row + 1],
        "requests": heat.counts[row, column],
    }
    return [_of_columns(columns)]


def _repetitions(analysis: Analysis) -> list[pd.DataFrame]:
    told = analysis.pictures.latencies
    steps = told.syn.steps if told else ()
    return [pd.DataFrame(steps, columns=["after_s", "connects"])]


def _connections(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {
            "connection": number,
            "client": trace.client,
            "real_server": trace.real_server,
            "directors": ", ".join(trace.directors),
            "t_s": packet.t_s,
            "packet": packet.flag,
            "from": leg.source,
            "to": leg.target,
            "captured": leg.seen,
        }
        for number, trace in enumerate(analysis.traces)
        for packet in trace.packets
        for leg in packet.legs
    ]
    return [_of_rows(rows)]


def _memories(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {
            "connection": number,
            "client": trace.client,
            "holder": retention.holder,
            "state": retention.state,
            "from_s": retention.from_s,
            "until_s": retention.until_s,
            "margin_s": retention.margin_s,
            "basis": retention.basis,
        }
        for number, trace in enumerate(analysis.traces)
        for retention in trace.retentions
    ]
    return [_of_rows(rows)]


def _events(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {"t_s": one.t_s, "host": one.host, "kind": one.kind, "detail": one.detail}
        for one in analysis.timeline.events
    ]
    return [_of_rows(rows)]


def _peaks(analysis: Analysis) -> list[pd.DataFrame]:
    rows = [
        {
            "director": table.director,
            "t_s": table.t_s,
            "real_server": row.real_server,
            "real_port": row.real_port,
            "forwarding": row.forwarding,
            "weight": row.weight,
            "active": row.active,
            "inactive": row.inactive,
        }
        for table in analysis.timeline.peaks
        for row in table.rows
    ]
    return [_of_rows(rows)]


def _lifetimes(analysis: Analysis) -> list[pd.DataFrame]:
    rows = []
    for one in analysis.lifetimes:
        life, measured = one.lifetime_s, one.timeout_measured_s
        rows.append(
            {
                "director": one.director,
                "state": one.state,
                "counted": one.counted,
                "timeout_name": one.timeout_name,
                "timeout_s": one.timeout_s,
                "entries": one.n,
                "entries_expired": one.n_expired,
                "lifetime_mean_s": life.mean if life else None,
                "lifetime_min_s": life.min if life else None,
                "lifetime_max_s": life.max if life else None,
                "lifetime_uncertainty_s": life.uncertainty if life else None,
                "timeout_measured_s": measured.value if measured else None,
                "timeout_uncertainty_s": measured.uncertainty if measured else None,
                "granule_s": one.granule_s,
            }
        )
    return [_of_rows(rows)]


def _columns(text: str) -> Columns:
    """``name:kind name:kind``; a name alone is a text."""
    kinds = {"": "string", "f": "float64", "i": "Int64", "b": "boolean"}
    pairs = (word.partition(":") for word in text.split())
    return tuple((name, kinds[kind]) for name, _, kind in pairs)


_LIFETIMES = (
    "director state counted timeout_name timeout_s:f entries:i entries_expired:i lifetime_mean_s:f "
    "lifetime_min_s:f lifetime_max_s:f lifetime_uncertainty_s:f timeout_measured_s:f "
    "timeout_uncertainty_s:f granule_s:f"
)

SHEETS: Mapping[str, tuple[Columns, Callable[[Analysis], list[pd.DataFrame]]]] = {
    "requests": (
        _columns("ended_s:f failed:b connect_ms:f first_byte_ms:f total_ms:f"),
        _requests,
    ),
    "errors": (_columns("kind stage status:i requests:i first_s:f last_s:f"), _errors),
    "packets": (_columns("packet t_s:f"), _packets),
    "counters_polled": (_CURVE, lambda analysis: _curves(analysis.timeline.observed)),
    "counters_predicted": (_CURVE, lambda analysis: _curves(analysis.timeline.predicted)),
    "entries_by_state": (_columns("director source state t_s:f entries:i"), _states),
    "sockets": (_columns("host state t_s:f sockets:i"), _sockets),
    "lifetimes": (_columns(_LIFETIMES), _lifetimes),
    "lifetimes_of_entries": (
        _columns("director state timeout_s:f granule_s:f source lifetime_s:f uncertainty_s:f"),
        _lived,
    ),
    "other_tcpfin": (_columns("director tcpfin_s:f in_force:b t_s:f inactive:i"), _other_tcpfin),
    "real_servers": (
        _columns("director real_server weight:f entries:i entries_expected:f"),
        _shares,
    ),
    "peaks": (
        _columns("director t_s:f real_server real_port:i forwarding weight:i active:i inactive:i"),
        _peaks,
    ),
    "latency_percentiles": (_columns("latency share:f ms:f"), _percentiles),
    "latency_over_time": (
        _columns("sent_from_s:f sent_to_s:f from_ms:f to_ms:f requests:i"),
        _heat,
    ),
    "syn_repetitions": (_columns("after_s:f connects:i"), _repetitions),
    "connection_packets": (
        _columns("connection:i client real_server directors t_s:f packet from to captured:b"),
        _connections,
    ),
    "connection_memories": (
        _columns("connection:i client holder state from_s:f until_s:f margin_s:f basis"),
        _memories,
    ),
    "events": (_columns("t_s:f host kind detail"), _events),
}
"""Each table's columns, and what fills it."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def to_csv(frame: pd.DataFrame) -> str:
    """A frame as CSV (RFC 4180) with a head line.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    safe = frame.copy()
    for name in map(str, safe.select_dtypes("string")):
        suspect = safe[name].str.startswith(_FORMULA).fillna(value=False)
        safe[name] = safe[name].where(~suspect, "'" + safe[name])
    text: str = safe.to_csv(index=False, lineterminator="\r\n")
    return text
