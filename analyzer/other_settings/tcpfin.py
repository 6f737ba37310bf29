"""Predictions for the same packets under other values of tcpfin, computed ahead."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.charts.thinning import LONG, kept
from analyzer.charts.values import OtherTcpfin
from analyzer.compared.curves import thinned
from analyzer.ipvs.states import TIMEOUT_NAMES, is_active
from analyzer.other_settings.what_if import Assumption, answer, groups, predicted_under
from analyzer.parts import IN_MEMORY, by_stretches, stretches
from analyzer.parts.columns import columns_of, table_of, with_columns
from analyzer.predicted.curves import changes_by_packets
from analyzer.predicted.entries import TIMER
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.charts.curves import Curve
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.other_settings.what_if import Groups
    from analyzer.parts import Columns, Store
    from analyzer.predicted.curves import CounterChanges
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.results import WhatIf

VALUES_S = (5.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0)
POINTS = 2000  # of each curve that is kept
_FIN_STATES = [int(state) for state, name in TIMEOUT_NAMES.items() if name == "tcpfin"]


def other_tcpfins(measured: Sequence[Measured], evidence: Evidence) -> tuple[OtherTcpfin, ...]:
    """Predictions for each director under ``VALUES_S`` and under its configured value."""
    answers: list[OtherTcpfin] = []
    for result in measured:
        if result.prediction is None or result.prediction.entries.empty:
            continue
        configured_s = result.rules.timeouts.tcpfin_s
        values = sorted({configured_s, *VALUES_S})
        longest_s = longest_wait_s(result.prediction, result.rules)
        moved = [
            value
            for value in values
            if value == configured_s or (longest_s is not None and longest_s < value)
        ]
        known, store = _Known.of(result, result.prediction, evidence), result.prediction.store
        tasks = ((known, value) for value in moved)
        found = dict(zip(moved, store.apart(_moved, tasks), strict=True))
        answers += [
            found[value] if value in found else _replayed(result, evidence, value)
            for value in values
        ]
    return tuple(answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What does not depend on tcpfin, where a longer one moves the ends of entries alone.

    Attributes:
        prediction: the director's, without its entries and steps.
        entries: as ``Prediction.entries``, by columns.
        by_packets: what packets change, which another tcpfin leaves as it is.
        counts: the entries that their timers end, by state and timeout.
    """

    director: Director
    rules: DirectorRules
    clock: DirectorClock
    zero_ns: int
    prediction: Prediction
    entries: Columns
    by_packets: CounterChanges
    counts: Groups

    @classmethod
    def of(cls, result: Measured, prediction: Prediction, evidence: Evidence) -> _Known:
        entries, steps = prediction.entries, prediction.steps
        return cls(
            director=result.director,
            rules=result.rules,
            clock=evidence.by_director[result.director.name].clock,
            zero_ns=evidence.zero_ns,
            prediction=replace(prediction, entries=entries[:0], steps=steps[:0], store=IN_MEMORY),
            entries=columns_of(entries),
            by_packets=changes_by_packets(prediction, None, is_active(result.director.kernel)),
            counts=groups(prediction),
        )

    def kept_by(self, store: Store) -> Prediction:
        """The prediction, without its steps."""
        entries = table_of(self.entries, self.prediction.entries)
        return replace(self.prediction, entries=entries, store=store)


def _moved(store: Store, known: _Known, tcpfin_s: float) -> OtherTcpfin:
    """The value that was in force, or one that moves the ends of entries and nothing else."""
    prediction, counts = known.kept_by(store), known.counts
    is_own = tcpfin_s == known.rules.timeouts.tcpfin_s
    if not is_own:
        prediction = _shifted(known, prediction, tcpfin_s)
        counts = _shifted_counts(counts, tcpfin_s)
    assumption = Assumption(name="tcpfin", value=tcpfin_s)
    found = answer(
        known.director, known.zero_ns, prediction, [assumption], None, known.by_packets, counts
    )
    return _summed_up(found, prediction, tcpfin_s, is_own=is_own)


def _replayed(result: Measured, evidence: Evidence, tcpfin_s: float) -> OtherTcpfin:
    """Any value: the packets are replayed."""
    assumption = Assumption(name="tcpfin", value=tcpfin_s)
    prediction, caveat = predicted_under(result, evidence, [assumption])
    found = answer(result.director, evidence.zero_ns, prediction, [assumption], caveat)
    return _summed_up(found, prediction, tcpfin_s, is_own=False)


def _summed_up(
    found: tuple[WhatIf, Curve], prediction: Prediction, tcpfin_s: float, *, is_own: bool
) -> OtherTcpfin:
    summary, curve = found
    return OtherTcpfin(
        tcpfin_s=tcpfin_s,
        is_own=is_own,
        inactive_s=_inactive_s(curve, len(prediction.entries), prediction.store),
        answer=summary,
        curve=_thinned(curve, prediction.store),
    )


def longest_wait_s(prediction: Prediction, rules: DirectorRules) -> float | None:
    """The longest that an entry waited for tcpfin and was then found by a packet.

    A longer tcpfin moves the ends of entries and nothing else. None where any tcpfin may change
    more: where a flow made several entries, one was cut short, or tcpfin was set meanwhile.
    """
    if rules.changes or rules.secure_tcp or not all(map(_is_simple, prediction.entry_parts())):
        return None
    return max(map(_longest_wait_ns, prediction.parts())) / NS_PER_S


def _is_simple(entries: pd.DataFrame) -> bool:
    """Whether each flow made one entry, which its timer ended."""
    return entries["flow"].is_unique and bool((entries["cause"] == TIMER).all())


def _longest_wait_ns(steps: pd.DataFrame) -> int:
    entry, at_ns = steps["entry"].to_numpy(), steps["at_ns"].to_numpy()
    waited = is_one_of(steps["state"].to_numpy()[:-1], _FIN_STATES) & (entry[1:] == entry[:-1])
    return int(np.diff(at_ns)[waited].max(initial=0))


def _shifted(known: _Known, prediction: Prediction, tcpfin_s: float) -> Prediction:
    """The prediction with the entries that wait for tcpfin ending by another value."""
    columns = [known.entries[name] for name in ("state", "last_ns", "ends_ns")]
    clock, store = known.clock, prediction.store

    def ends_ns(rows: slice) -> Ints:
        state, last_ns, shifted_ns = (column[rows] for column in columns)
        waiting, shifted_ns = is_one_of(state, _FIN_STATES), shifted_ns.copy()
        expiry_s = known.rules.expiry_uptime_s(clock.uptime_s(last_ns[waiting]), tcpfin_s)
        shifted_ns[waiting] = clock.client_ns(expiry_s)
        return shifted_ns

    entries = prediction.entries
    moved = with_columns(entries, ends_ns=by_stretches(store, len(entries), ends_ns))
    return replace(prediction, entries=moved)


def _shifted_counts(counts: Groups, tcpfin_s: float) -> Groups:
    """How many entries their timers end there, where those that wait for tcpfin do so as long."""
    found: Groups = {}
    for (state, timeout_s), n in counts.items():
        kind = (state, tcpfin_s if state in _FIN_STATES else timeout_s)
        found[kind] = found.get(kind, 0) + n
    return found


def _inactive_s(curve: Curve, entries: int, store: Store) -> float:
    """The area below InActConn, shared out among all entries."""
    size = max(len(curve.t_s) - 1, 0)
    areas: list[float] = []
    for rows in stretches(size, LONG):  # not the store's: no sum depends on its parts
        areas.append(_area(curve, rows))
        store.release()
    return math.fsum(areas) / entries if entries else 0.0


def _area(curve: Curve, rows: slice) -> float:
    """The area below InActConn from some points to the next."""
    lasted_s = np.diff(curve.t_s[rows.start : rows.stop + 1])
    return float(np.sum(lasted_s * curve.inactive[rows][: len(lasted_s)]))


def _thinned(curve: Curve, store: Store) -> Curve:
    curve = thinned(curve, store)
    chosen = np.union1d(kept(curve.active, points=POINTS), kept(curve.inactive, points=POINTS))
    return replace(
        curve,
        t_s=curve.t_s[chosen],
        active=curve.active[chosen],
        inactive=curve.inactive[chosen],
    )
