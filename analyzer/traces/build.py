"""A recording to the traces of a bounded number of its connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import host_port
from analyzer.predicted.entries import state_name
from analyzer.traces.choose import MOST, Crowd, choose, connection_of, entries_of
from analyzer.traces.model import ConnectionTrace, Span
from analyzer.traces.packets import Hops, packets_of
from analyzer.traces.retentions import entry_retention, seconds, seen_retention, socket_retention
from analyzer.traces.served import notable_requests, requests_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.compared.evidence import Evidence
    from analyzer.measure import Measured
    from analyzer.traces.expired import LatePacket
    from analyzer.traces.model import Retention
    from analyzer.traces.retentions import Row
    from analyzer.wire.segments import Segments

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max


def traces(
    evidence: Evidence,
    measured: Sequence[Measured],
    table: pd.DataFrame | None,
    most: int = MOST,
    *,
    late: Sequence[LatePacket] = (),
) -> tuple[ConnectionTrace, ...]:
    """The connections worth a look, the oddest kinds first; none without packets.

    Args:
        evidence: the recording.
        measured: one per director.
        table: ``wire.connections`` of its capture.
        most: how many at most.
        late: packets that came after their entry had expired.
    """
    if table is None or table.empty or evidence.segments is None:
        return ()
    chosen = choose(_crowd(evidence, evidence.segments, measured, table, late), most)
    rows = [row for row, _ in chosen]
    flows = table["flow"].iloc[rows]
    scene = _TraceInputs(
        zero_ns=evidence.zero_ns,
        forwarder_macs=evidence.forwarder_macs,
        through=evidence.forwarding in ("nat", "local"),
        segments=evidence.segments,
        measured=measured,
        changes=evidence.entries[evidence.entries["flow"].isin(flows)],
    )
    served = requests_of(evidence.requests, evidence.segments.flows, table, rows)
    return tuple(
        _trace(scene, _Connection.at(table, row), reasons, served.get(row))
        for row, reasons in chosen
    )


def _crowd(
    evidence: Evidence,
    segments: Segments,
    measured: Sequence[Measured],
    table: pd.DataFrame,
    late: Sequence[LatePacket],
) -> Crowd:
    last_state, cause, off_s = entries_of(table, measured)
    total_ms, failed = notable_requests(evidence.requests, segments.flows, table)
    return Crowd(
        table=table,
        total_ms=total_ms,
        failed=failed,
        last_state=last_state,
        cause=cause,
        off_s=off_s,
        late_s=_late_s(table, late),
    )


def _late_s(table: pd.DataFrame, late: Sequence[LatePacket]) -> Floats:
    """How late each connection's packet was; 0 where none was."""
    found = np.zeros(len(table))
    flow = np.array([case.flow for case in late], dtype=np.int64)
    at_ns = np.array([case.at_ns for case in late], dtype=np.int64)
    row = connection_of(table, flow, at_ns)
    late_s = np.array([case.late_s[1] for case in late])
    np.maximum.at(found, row[row >= 0], late_s[row >= 0])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _TraceInputs:
    """What the recording has of all chosen connections; ``changes`` are their entries'."""

    zero_ns: int
    forwarder_macs: frozenset[int]
    through: bool
    segments: Segments
    measured: Sequence[Measured]
    changes: pd.DataFrame


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
    def at(cls, table: pd.DataFrame, row: int) -> _Connection:
        """The one in this row of ``wire.connections``."""
        one, after = table.iloc[row], table.iloc[row + 1 : row + 2]
        again = len(after) > 0 and after["flow"].iloc[0] == one["flow"]
        return cls(
            flow=int(one["flow"]),
            first_ns=int(one["first_ns"]),
            last_ns=int(one["last_ns"]),
            until_ns=int(after["first_ns"].iloc[0]) if again else _NEVER,
            closer=str(one["closer"]),
            holds_time_wait=str(one["holds_time_wait"]),
        )

    def rows(self, flow: Ints, at_ns: Ints) -> slice:
        """Where it stands in arrays that are ordered by flow, then time."""
        low, high = np.searchsorted(flow, [self.flow, self.flow + 1])
        first, last = np.searchsorted(at_ns[low:high], [self.first_ns, self.until_ns])
        return slice(int(low + first), int(low + last))


@dataclass(frozen=True, slots=True, kw_only=True)
class _DirectorHistory:
    """What one director made of a connection.

    Attributes:
        steps: rows of ``Prediction.steps``.
        entries: rows of ``Prediction.entries``.
        lives: rows of ``Measured.lives`` that belong to these entries.
    """

    director: str
    steps: pd.DataFrame
    entries: pd.DataFrame
    lives: pd.DataFrame


def _held(measured: Sequence[Measured], connection: _Connection) -> list[_DirectorHistory]:
    """By the directors that its packets passed, the one that had it last at the end."""
    found: list[_DirectorHistory] = []
    for one in measured:
        if one.prediction is None:
            continue
        steps = one.prediction.steps
        rows = connection.rows(steps["flow"].to_numpy(), steps["at_ns"].to_numpy())
        own = steps.iloc[rows]
        if own.empty:
            continue
        numbers = own["entry"].unique()
        found.append(
            _DirectorHistory(
                director=one.director.name,
                steps=own,
                entries=one.prediction.entries.loc[numbers],
                lives=one.lives[one.lives["entry"].isin(numbers)],
            )
        )
    return sorted(found, key=lambda held: int(held.steps["at_ns"].iloc[-1]))


def _trace(
    scene: _TraceInputs, connection: _Connection, reasons: tuple[str, ...], served: Row | None
) -> ConnectionTrace:
    rows = connection.rows(scene.segments.flow, scene.segments.at_ns)
    held = _held(scene.measured, connection)
    hops = Hops(
        forwarder_macs=scene.forwarder_macs,
        through=scene.through,
        judged_ns=frozenset(at for one in held for at in one.steps["at_ns"]) if held else None,
    )
    own = scene.segments.only(_between(rows, len(scene.segments.flow)))
    packets, in_all = packets_of(own, hops, scene.zero_ns)
    ends = scene.segments.flows.iloc[connection.flow]
    last_s = seconds(connection.last_ns, scene.zero_ns)
    return ConnectionTrace(
        reasons=reasons,
        client=host_port(ends["client_ip"], ends["client_port"]),
        vip=host_port(ends["vip"], ends["port"]),
        real_server=next(
            (str(one.lives["real_server"].iloc[0]) for one in reversed(held) if len(one.lives)),
            None,
        ),
        directors=tuple(one.director for one in held),
        first_s=seconds(connection.first_ns, scene.zero_ns),
        last_s=last_s,
        closer=connection.closer,
        packets=packets,
        packets_in_all=in_all,
        predicted=_predicted(held[-1], scene.zero_ns) if held else (),
        observed=_observed(held[-1], scene) if held else (),
        retentions=(
            *socket_retention(connection.holds_time_wait, last_s),
            *(retention for one in held for retention in _remembered(one, scene.zero_ns, last_s)),
        ),
        connect_ms=_between_ms(served, "connected"),
        total_ms=_between_ms(served, "ended"),
        error=str(served["error"]) if served and not pd.isna(served["error"]) else None,
    )


def _between(rows: slice, size: int) -> npt.NDArray[np.bool_]:
    chosen = np.zeros(size, dtype=bool)
    chosen[rows] = True
    return chosen


def _predicted(held: _DirectorHistory, zero_ns: int) -> tuple[Span, ...]:
    """The states that the packets led to, entry after entry."""
    found: list[Span] = []
    for number, ends_ns in held.entries["ends_ns"].items():
        steps = held.steps[held.steps["entry"] == number]
        names = [state_name(int(state)) for state in steps["state"]]
        found += _spans(names, [*steps["at_ns"].tolist(), int(ends_ns)], zero_ns)
    return tuple(found)


def _observed(held: _DirectorHistory, scene: _TraceInputs) -> tuple[Span, ...]:
    """The states that were polled, life after life; each ends in the middle of the last looks."""
    found: list[Span] = []
    changes = scene.changes[scene.changes["director"] == held.director]
    for life in held.lives.sort_values("appeared_ns").to_dict("records"):
        gone_ns = None if pd.isna(life["gone_ns"]) else int(life["gone_ns"])
        own = changes[(changes["flow"] == life["flow"]) & (changes["change"] != "gone")]
        own = own[(own["at_ns"] >= life["appeared_ns"]) & (own["at_ns"] < (gone_ns or _NEVER))]
        ends_ns = gone_ns if pd.isna(life["seen_ns"]) else _middle(life["seen_ns"], gone_ns)
        found += _spans(own["state"].tolist(), [*own["at_ns"].tolist(), ends_ns], scene.zero_ns)
    return tuple(found)


def _middle(seen_ns: int, gone_ns: int | None) -> int | None:
    return None if gone_ns is None else int(seen_ns) + (gone_ns - int(seen_ns)) // 2


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


def _remembered(held: _DirectorHistory, zero_ns: int, last_s: float) -> list[Retention]:
    entries: list[Row] = held.entries.to_dict("records")
    lives: list[Row] = held.lives.to_dict("records")
    return [
        *(entry_retention(row, zero_ns, held.director) for row in entries),
        *(seen_retention(row, zero_ns, last_s, held.director) for row in lives),
    ]


def _between_ms(served: Row | None, end: str) -> float | None:
    if served is None or pd.isna(served[end]):
        return None
    return float((served[end] - served["started"]).total_seconds() * 1e3)
