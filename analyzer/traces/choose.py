"""The choice of connections that get a trace: slow, unusual, and one typical."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.states import State
from analyzer.parts import same_flows
from analyzer.predicted.entries import PORT_REUSE, TIMER
from analyzer.recording.instants import latest_row
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.measured import Measured

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Strings = npt.NDArray[np.str_]

MOST = 30
"""The most connections of a run that get a trace,"""

MOST_ALIKE = 6
"""and the most for the same reason."""

OFF_S = 0.1
"""An entry that ended this far outside its predicted time, polls considered, was predicted
wrongly."""

_EMBRYONIC = (State.SYN_SENT, State.SYN_RECV, State.SYNACK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Connections of a run, and what distinguishes them; arrays have shape (connections,).

    Attributes:
        table: of ``wire.connections``, in its order: by flow, then time; index: their numbers.
        total_ms: of the request behind it; NaN where not known.
        failed: whether that request failed.
        last_state: the State of its entry at the end; -1 where none was predicted.
        cause: why its entry ended; "" where none was predicted.
        off_s: by how much its entry's end lies outside the polls around it; 0 where not seen.
        late_s: by how much a packet came after its entry's end; 0 where none did; or one 0 for all.
        median_s: how long connections lasted, of all of the run; by default of these.
    """

    table: pd.DataFrame
    total_ms: Floats
    failed: npt.NDArray[np.bool_]
    last_state: Ints
    cause: Strings
    off_s: Floats
    late_s: Floats = field(default_factory=lambda: np.zeros(1))
    median_s: float | None = None

    @property
    def duration_s(self) -> Floats:
        """Seconds from first packet to last."""
        spent = self.table["last_ns"].to_numpy() - self.table["first_ns"].to_numpy()
        return np.asarray(spent / NS_PER_S, dtype=np.float64)


def _where(mask: npt.ArrayLike, score: Floats | float = 0.0) -> Floats:
    return np.asarray(np.where(np.asarray(mask, dtype=bool), score, np.nan), dtype=np.float64)


def _reuses(crowd: Crowd) -> Floats:
    """A connection whose port was reused, and the one that reused it: the next of its flow."""
    ended, flow = crowd.cause == PORT_REUSE, crowd.table["flow"].to_numpy()
    reused_it = np.zeros(len(flow), dtype=bool)
    reused_it[1:] = ended[:-1] & (flow[1:] == flow[:-1])
    return _where(ended | reused_it)


def _is_usual(cause: Strings) -> npt.NDArray[np.bool_]:
    return np.asarray((cause == "") | (cause == TIMER) | (cause == PORT_REUSE), dtype=np.bool_)


def _late(crowd: Crowd) -> Floats:
    late_s = np.broadcast_to(crowd.late_s, len(crowd.table))
    return _where(late_s > 0, late_s)


def _usual(crowd: Crowd) -> Floats:
    """The connection nearest to the median in length."""
    lasted = crowd.duration_s
    median_s = crowd.median_s
    if median_s is None:
        median_s = float(np.median(lasted)) if len(lasted) else 0.0
    return -np.abs(lasted - median_s)


REASONS: Mapping[str, tuple[str, Callable[[Crowd], Floats]]] = {
    "syn-repeated": (
        "its SYN was repeated",
        lambda crowd: _where(crowd.table["syns"] > 1, crowd.table["retry_s"].to_numpy()),
    ),
    "failed": ("the request failed", lambda crowd: _where(crowd.failed)),
    "reset": ("closed by a reset", lambda crowd: _where(crowd.table["closer"] == "reset")),
    "prediction-off": (
        "the prediction of its end is off",
        lambda crowd: _where(crowd.off_s > OFF_S, crowd.off_s),
    ),
    "after-expiry": (
        "it went on after its entry had expired",
        _late,
    ),
    "port-reuse": ("its port was used again at once", _reuses),
    "ended-early": (
        "its entry ended before its time",
        lambda crowd: _where(~_is_usual(crowd.cause)),
    ),
    "half-open": (
        "its handshake never finished",
        lambda crowd: _where(np.isin(crowd.last_state, _EMBRYONIC)),
    ),
    "slow": ("among the slowest requests", lambda crowd: crowd.total_ms),
    "long": ("among the longest connections", lambda crowd: crowd.duration_s),
    "usual": ("as most are", _usual),
}
"""Why a connection may get a trace: in words, and a score for each connection (NaN: not)."""


def choose(crowds: Iterable[Crowd], most: int = MOST) -> list[tuple[int, tuple[str, ...]]]:
    """Connections that get a trace: the best of each reason in turn, until there are enough.

    Args:
        crowds: the run's connections, in parts, in order.
        most: how many are chosen at most.

    Returns:
        The connection's number and the reasons that led to it, in the order of ``REASONS``.
    """
    best: dict[str, list[tuple[float, int]]] = {name: [] for name in REASONS}
    for crowd in crowds:
        for name, (_, score) in REASONS.items():
            scores = score(crowd)
            found = [
                (-float(scores[row]), int(crowd.table.index[row]))
                for row in _best(scores, MOST_ALIKE)
            ]
            best[name] = sorted(best[name] + found)[:MOST_ALIKE]
    queues = {name: [number for _, number in found] for name, found in best.items()}
    queues["usual"] = queues["usual"][:1]
    reasons: dict[int, list[str]] = {}
    for rank in range(MOST_ALIKE):
        for name, queue in queues.items():
            if rank < len(queue) and (len(reasons) < most or queue[rank] in reasons):
                reasons.setdefault(queue[rank], []).append(name)
    order = list(REASONS)
    chosen = [(row, tuple(sorted(names, key=order.index))) for row, names in reasons.items()]

    def rank_of(row: int, reason: str) -> tuple[int, int]:
        return order.index(reason), queues[reason].index(row)

    return sorted(chosen, key=lambda choice: rank_of(choice[0], choice[1][0]))


def _best(scores: Floats, most: int) -> list[int]:
    """Rows of the highest scores, the earliest first among equals."""
    known = np.flatnonzero(~np.isnan(scores))
    if len(known) > most:
        at_least = np.partition(scores[known], len(known) - most)[len(known) - most]
        better, equal = known[scores[known] > at_least], known[scores[known] == at_least]
        known = np.r_[better, equal[: most - len(better)]]
    return [int(row) for row in known[np.lexsort((known, -scores[known]))]]


def connection_of(table: pd.DataFrame, flow: Ints, at_ns: Ints) -> Ints:
    """The place of the connection that each instant of a flow belongs to; -1 for none.

    Args:
        table: ``wire.connections``, or a part of whole flows.
        flow: shape (n,).
        at_ns: shape (n,), not before the connection's first packet.
    """
    flows, firsts_ns = (table[name].to_numpy(dtype=np.int64) for name in ("flow", "first_ns"))
    return latest_row(flows, firsts_ns, flow, at_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFates:
    """The entries of connections that were predicted, and how far off those seen were.

    Attributes:
        measured: of each director.
        off: by director: the connections whose entries were seen to expire, in order of their
            entries, and how far outside the polls the predicted end lies.
    """

    measured: Sequence[Measured]
    off: Sequence[tuple[Ints, Floats]]

    @classmethod
    def of(cls, table: pd.DataFrame, measured: Sequence[Measured]) -> EntryFates:
        """Those of a run's connections."""
        known = [
            result
            for result in measured
            if result.prediction is not None and not result.prediction.entries.empty
        ]
        return cls(measured=known, off=[_off_connections(table, result) for result in known])

    def of_part(self, table: pd.DataFrame) -> tuple[Ints, Strings, Floats]:
        """The last State of each connection's entry, why it ended, and how far off that was.

        Args:
            table: a part of ``wire.connections``, of whole flows; index: their numbers.

        Returns:
            ``last_state`` (-1: none predicted), ``cause`` ("" likewise), ``off_s`` (0 if not seen).
        """
        last_state = np.full(len(table), -1, dtype=np.int64)
        cause = np.full(len(table), "", dtype=object)
        off_s = np.zeros(len(table))
        first, flows = int(table.index[0]) if len(table) else 0, table["flow"].to_numpy()
        for result, (connection, outside_s) in zip(self.measured, self.off, strict=True):
            assert result.prediction is not None
            entries = result.prediction.entries
            entries = entries.iloc[same_flows(flows, entries["flow"].to_numpy())]
            row = connection_of(table, entries["flow"].to_numpy(), entries["first_ns"].to_numpy())
            known = row >= 0
            last_state[row[known]] = entries["state"].to_numpy()[known]
            cause[row[known]] = entries["cause"].to_numpy()[known]
            here = slice(*np.searchsorted(connection, [first, first + len(table)]).tolist())
            off_s[connection[here] - first] = outside_s[here]
        return last_state, cause, off_s


def _off_connections(table: pd.DataFrame, result: Measured) -> tuple[Ints, Floats]:
    """The connections of entries that were seen to expire, ascending; how far off each was."""
    assert result.prediction is not None
    writer = result.prediction.store.columns()
    for tracked in result.tracked:
        held, outside_s = _off(tracked)
        entries = result.prediction.entries.iloc[held]
        row = connection_of(table, entries["flow"].to_numpy(), entries["first_ns"].to_numpy())
        order = np.argsort(row, kind="stable")
        writer.append({"row": row[order], "outside_s": outside_s[order]})
    columns = writer.finish()
    return columns["row"], columns["outside_s"]


def _off(tracked: pd.DataFrame) -> tuple[Ints, Floats]:
    """Entries that were seen to expire, and how far outside the polls their predicted end lies."""
    seen = tracked.dropna(subset=["entry", "seen_ns", "absent_ns", "ends_ns"])
    ends, before, after = (
        seen[name].to_numpy(dtype=np.int64) for name in ("ends_ns", "seen_ns", "absent_by_ns")
    )
    outside_ns = np.maximum(np.maximum(before - ends, ends - after), 0)
    return seen["entry"].to_numpy(dtype=np.int64), outside_ns / NS_PER_S
