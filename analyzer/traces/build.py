"""A recording to the traces of a bounded number of its connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.arrays import distinct, first_of_runs
from analyzer.ipvs.addresses import host_port
from analyzer.parts import by_stretches, cuts, rows_of_flows
from analyzer.parts.sorting import middle_of
from analyzer.predicted.entries import state_name
from analyzer.traces.choose import MOST, Crowd, EntryFates, choose, connection_of
from analyzer.traces.expired import NO_LATE_PACKETS
from analyzer.traces.model import ConnectionTrace, Span
from analyzer.traces.packets import Hops, packets_of
from analyzer.traces.request_connections import notable_requests, requests_of
from analyzer.traces.retentions import entry_retention, seconds, seen_retention, socket_retention
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.parts import Store
    from analyzer.traces.expired import LatePackets
    from analyzer.traces.model import Retention
    from analyzer.traces.request_connections import Served
    from analyzer.traces.retentions import Row
    from analyzer.wire.segments import Segments

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Strings = npt.NDArray[np.object_]

_NEVER = np.iinfo(np.int64).max
_NO_CHANGES = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=object)


def traces(
    evidence: Evidence,
    measured: Sequence[Measured],
    table: pd.DataFrame | None,
    most: int = MOST,
    *,
    late: LatePackets = NO_LATE_PACKETS,
) -> tuple[ConnectionTrace, ...]:
    """Traces of the most unusual connections, the oddest kinds first; none without packets.

    Args:
        evidence: the recording.
        measured: one per director.
        table: ``wire.connections`` of its capture.
        most: how many at most.
        late: packets that came after their entry had expired.
    """
    if table is None or table.empty or evidence.segments is None:
        return ()
    chosen = choose(_crowds(evidence, evidence.segments, measured, table, late), most)
    rows = [row for row, _ in chosen]
    flows = table["flow"].to_numpy(dtype=np.int64)[rows]
    seen = evidence.entries.where(lambda rows: rows["flow"].isin(flows))
    histories = (_DirectorHistory.of(result, seen, flows) for result in measured)
    inputs = _TraceInputs(
        zero_ns=evidence.zero_ns,
        forwarder_macs=evidence.forwarder_macs,
        through=evidence.forwarding in ("nat", "local"),
        segments=evidence.segments,
        directors=tuple(history for history in histories if history),
    )
    served = requests_of(evidence.requests, evidence.segments.flows, table, rows)
    found: list[ConnectionTrace] = []
    for (row, reasons), connection in zip(chosen, _Connection.all_of(table, rows), strict=True):
        found.append(_trace(inputs, connection, reasons, served.get(row)))
        evidence.segments.store.release()  # a few rows of long columns bring in many pages
    return tuple(found)


def _crowds(
    evidence: Evidence,
    segments: Segments,
    measured: Sequence[Measured],
    table: pd.DataFrame,
    late: LatePackets,
) -> Iterator[Crowd]:
    """All connections, part by part."""
    fates = EntryFates.of(table, measured)
    notable = notable_requests(evidence.requests, segments.flows, table)
    median_s = _median_s(table, segments.store)
    for rows in cuts(table["flow"].to_numpy(), segments.store.part_rows):
        part = table.iloc[rows]
        last_state, cause, off_s = fates.of_part(part)
        total_ms, failed = notable.of_part(part)
        yield Crowd(
            table=part,
            total_ms=total_ms,
            failed=failed,
            last_state=last_state,
            cause=cause,
            off_s=off_s,
            late_s=_late_s(part, late),
            median_s=median_s,
        )
        segments.store.release()


def _late_s(part: pd.DataFrame, late: LatePackets) -> Floats:
    """By how much a packet came after the end of each connection's entry; 0 where none did."""
    latest_s, flows = np.zeros(len(part)), part["flow"].to_numpy()
    for cases in (cases.near(flows) for cases in late.cases):
        row = connection_of(part, cases.flow, cases.at_ns)
        np.maximum.at(latest_s, row[row >= 0], cases.late_s[row >= 0])
    return latest_s


def _median_s(table: pd.DataFrame, store: Store) -> float:
    """How long connections lasted, half of them at most."""
    first_ns, last_ns = (table[name].to_numpy() for name in ("first_ns", "last_ns"))
    spent_ns = by_stretches(store, len(table), lambda rows: last_ns[rows] - first_ns[rows])
    return float(np.mean([spent / NS_PER_S for spent in middle_of(store, spent_ns)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _TraceInputs:
    """What the recording has of all chosen connections."""

    zero_ns: int
    forwarder_macs: frozenset[int]
    through: bool
    segments: Segments
    directors: tuple[_DirectorHistory, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _DirectorHistory:
    """What one director made of all chosen connections.

    Attributes:
        flow, at_ns, entry, state: ``Prediction.steps``, column by column; shape (steps,).
        entries: rows of ``Prediction.entries`` of these flows, by number.
        tracked: rows of ``Measured.tracked`` by the entry that each belongs to.
        changes: what its polls saw of each flow: ``at_ns, state`` of shape (changes,), in order.
    """

    director: str
    flow: Ints
    at_ns: Ints
    entry: Ints
    state: Ints
    entries: dict[int, Row]
    tracked: dict[int, list[Row]]
    changes: dict[int, tuple[Ints, Strings]]

    @classmethod
    def of(cls, result: Measured, seen: pd.DataFrame, flows: Ints) -> _DirectorHistory | None:
        """The history of these flows; None without a prediction.

        Args:
            result: what was measured of the director.
            seen: the ``numbered`` changes of these flows, of all directors.
            flows: those of the chosen connections.
        """
        if result.prediction is None:
            return None
        steps = result.prediction.steps
        tracked: dict[int, list[Row]] = {}
        near = result.tracked.where(lambda rows: rows["flow"].isin(flows) & rows["entry"].notna())
        for row in near.to_dict("records"):
            tracked.setdefault(int(row["entry"]), []).append(row)
        polled = seen[(seen["director"] == result.director.name) & (seen["change"] != "gone")]
        flow, at_ns = (polled[name].to_numpy(dtype=np.int64) for name in ("flow", "at_ns"))
        states = polled["state"].to_numpy()
        edges = np.searchsorted(flow, [flows, flows + 1]).T.tolist()
        changes = {
            number: (at_ns[first:last], states[first:last])
            for number, (first, last) in zip(flows.tolist(), edges, strict=True)
        }
        made = result.prediction.entries
        made = made.iloc[rows_of_flows(made["flow"].to_numpy(), flows)]
        columns = {name: steps[name].to_numpy() for name in ("flow", "at_ns", "entry", "state")}
        return cls(
            director=result.director.name,
            **columns,
            entries=dict(zip(made.index.tolist(), made.to_dict("records"), strict=True)),
            tracked=tracked,
            changes=changes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """One connection; ``until_ns`` is when its port's next one began, or the far future."""

    flow: int
    first_ns: int
    last_ns: int
    until_ns: int
    closer: str
    holds_time_wait: str

    @classmethod
    def all_of(cls, table: pd.DataFrame, rows: Sequence[int]) -> list[_Connection]:
        """The connections in these rows of ``wire.connections``."""
        flow, first_ns = (table[name].to_numpy(dtype=np.int64) for name in ("flow", "first_ns"))
        until_ns = {
            row: int(first_ns[row + 1])
            for row in rows
            if row + 1 < len(flow) and flow[row + 1] == flow[row]
        }
        names = ["flow", "first_ns", "last_ns", "closer", "holds_time_wait"]
        return [
            cls(
                flow=int(row["flow"]),
                first_ns=int(row["first_ns"]),
                last_ns=int(row["last_ns"]),
                until_ns=until_ns.get(number, _NEVER),
                closer=str(row["closer"]),
                holds_time_wait=str(row["holds_time_wait"]),
            )
            for number, row in zip(
                rows, table[names].iloc[list(rows)].to_dict("records"), strict=True
            )
        ]

    def rows(self, flow: Ints, at_ns: Ints) -> slice:
        """The connection's slice of arrays that are ordered by flow, then time."""
        low, high = np.searchsorted(flow, [self.flow, self.flow + 1])
        first, last = np.searchsorted(at_ns[low:high], [self.first_ns, self.until_ns])
        return slice(int(low + first), int(low + last))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """A connection at one director.

    Attributes:
        steps: where it stands in the history's steps.
        entries: the rows of ``Prediction.entries`` that it made, by number.
        tracked: what was seen of these entries, in order of appearance.
    """

    history: _DirectorHistory
    steps: slice
    entries: dict[int, Row]
    tracked: list[Row]


def _parts(directors: Sequence[_DirectorHistory], connection: _Connection) -> list[_Part]:
    """The connection's parts by director, in order of their last packets."""
    parts: list[_Part] = []
    for history in directors:
        steps = connection.rows(history.flow, history.at_ns)
        if steps.start == steps.stop:
            continue
        numbers = distinct(history.entry[steps]).tolist()
        tracked = [row for number in numbers for row in history.tracked.get(number, [])]
        parts.append(
            _Part(
                history=history,
                steps=steps,
                entries={number: history.entries[number] for number in numbers},
                tracked=sorted(tracked, key=lambda row: int(row["appeared_ns"])),
            )
        )
    return sorted(parts, key=lambda part: int(part.history.at_ns[part.steps.stop - 1]))


def _trace(
    inputs: _TraceInputs, connection: _Connection, reasons: tuple[str, ...], served: Served | None
) -> ConnectionTrace:
    rows = connection.rows(inputs.segments.flow, inputs.segments.at_ns)
    parts = _parts(inputs.directors, connection)
    hops = Hops(
        forwarder_macs=inputs.forwarder_macs,
        through=inputs.through,
        judged_ns=[part.history.at_ns[part.steps] for part in parts],
    )
    packets, in_all = packets_of(inputs.segments.only(rows), hops, inputs.zero_ns)
    ends = inputs.segments.flows.iloc[connection.flow]
    last_s = seconds(connection.last_ns, inputs.zero_ns)
    return ConnectionTrace(
        reasons=reasons,
        client=host_port(ends["client_ip"], ends["client_port"]),
        vip=host_port(ends["vip"], ends["port"]),
        real_server=next(
            (str(part.tracked[0]["real_server"]) for part in reversed(parts) if part.tracked), None
        ),
        directors=tuple(part.history.director for part in parts),
        first_s=seconds(connection.first_ns, inputs.zero_ns),
        last_s=last_s,
        closer=connection.closer,
        packets=packets,
        packets_in_all=in_all,
        predicted=_predicted(parts[-1], inputs.zero_ns) if parts else (),
        observed=_observed(parts[-1], inputs.zero_ns) if parts else (),
        retentions=(
            *socket_retention(connection.holds_time_wait, last_s),
            *(row for part in parts for row in _retentions(part, inputs.zero_ns, last_s)),
        ),
        connect_ms=served.connect_ms if served else None,
        total_ms=served.total_ms if served else None,
        error=served.error if served else None,
    )


def _predicted(part: _Part, zero_ns: int) -> tuple[Span, ...]:
    """The states that the packets led to, entry after entry."""
    spans: list[Span] = []
    entry, state = part.history.entry[part.steps], part.history.state[part.steps]
    at_ns = part.history.at_ns[part.steps]
    for number, row in part.entries.items():
        of_entry = slice(*np.searchsorted(entry, [number, number + 1]).tolist())
        begins = of_entry.start + first_of_runs(state[of_entry])
        names = [state_name(code) for code in state[begins].tolist()]
        spans += _spans(names, [*at_ns[begins].tolist(), int(row["ends_ns"])], zero_ns)
    return tuple(spans)


def _observed(part: _Part, zero_ns: int) -> tuple[Span, ...]:
    """The states that were polled, entry after entry; each ends midway between the last polls."""
    spans: list[Span] = []
    for row in part.tracked:
        absent_ns: int | None = None if pd.isna(row["absent_ns"]) else int(row["absent_ns"])
        at_ns, states = part.history.changes.get(row["flow"], _NO_CHANGES)
        during = slice(*np.searchsorted(at_ns, [row["appeared_ns"], absent_ns or _NEVER]))
        ends_ns: int | None = absent_ns
        if not pd.isna(row["seen_ns"]):
            ends_ns = _middle(row["seen_ns"], absent_ns)
        spans += _spans(states[during].tolist(), [*at_ns[during].tolist(), ends_ns], zero_ns)
    return tuple(spans)


def _middle(seen_ns: int, absent_ns: int | None) -> int | None:
    return None if absent_ns is None else int(seen_ns) + (absent_ns - int(seen_ns)) // 2


def _spans(names: Sequence[str], edges_ns: Sequence[int | None], zero_ns: int) -> list[Span]:
    """One span for each run of the same state; the last edge is None where no end was seen."""
    spans: list[Span] = []
    for name, (begin_ns, end_ns) in zip(names, pairwise(edges_ns), strict=True):
        until_s = None if end_ns is None else seconds(end_ns, zero_ns)
        if spans and spans[-1].state == name:
            spans[-1] = replace(spans[-1], until_s=until_s)
        else:
            spans.append(Span(state=name, from_s=seconds(begin_ns, zero_ns), until_s=until_s))
    return spans


def _retentions(part: _Part, zero_ns: int, last_s: float) -> list[Retention]:
    director = part.history.director
    return [
        *(entry_retention(row, zero_ns, director) for row in part.entries.values()),
        *(seen_retention(row, zero_ns, last_s, director) for row in part.tracked),
    ]
