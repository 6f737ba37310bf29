"""Predictions for the same packets under other values of tcpfin, computed ahead."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import LONG, kept
from analyzer.charts.values import OtherTcpfin
from analyzer.compared.curves import thinned
from analyzer.ipvs.states import TIMEOUT_NAMES, is_active
from analyzer.other_settings.what_if import Assumption, answer, predicted_under
from analyzer.parts import by_stretches, stretches
from analyzer.parts.columns import with_columns
from analyzer.predicted.curves import changes_by_packets
from analyzer.predicted.entries import TIMER
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.arrays import Floats, Ints
    from analyzer.charts.curves import Curve
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.parts import Store
    from analyzer.predicted.curves import CounterChanges
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import DirectorRules

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
        by_packets = changes_by_packets(
            result.prediction, None, is_active(result.director.kernel)
        )  # which another tcpfin leaves as they are, mostly
        longest_s = longest_wait_s(result.prediction, result.rules)
        answers += [
            _under(result, evidence, by_packets, value, longest_s, is_own=value == configured_s)
            for value in values
        ]
    return tuple(answers)


def _under(
    result: Measured,
    evidence: Evidence,
    by_packets: CounterChanges,
    tcpfin_s: float,
    longest_s: float | None,
    *,
    is_own: bool,
) -> OtherTcpfin:
    assumption = Assumption(name="tcpfin", value=tcpfin_s)
    assert result.prediction is not None
    prediction = result.prediction
    doubt = None
    if not is_own:
        if longest_s is not None and longest_s < tcpfin_s:
            prediction = shifted(result, evidence, prediction, tcpfin_s)
        else:
            prediction, doubt = predicted_under(result, evidence, [assumption])
    same = by_packets if prediction.steps is result.prediction.steps else None
    replayed, curve = answer(result, evidence, prediction, [assumption], doubt, same)
    return OtherTcpfin(
        tcpfin_s=tcpfin_s,
        is_own=is_own,
        inactive_s=_inactive_s(curve, len(prediction.entries), prediction.store),
        answer=replayed,
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
    waited = np.isin(steps["state"].to_numpy()[:-1], _FIN_STATES) & (entry[1:] == entry[:-1])
    return int(np.diff(at_ns)[waited].max(initial=0))


def shifted(
    result: Measured, evidence: Evidence, prediction: Prediction, tcpfin_s: float
) -> Prediction:
    """The prediction with the entries that wait for tcpfin ending by another value."""
    entries, store = prediction.entries, prediction.store
    clock = evidence.by_director[result.director.name].clock
    columns = {name: entries[name].to_numpy() for name in ("state", "last_ns", "ends_ns")}
    timeout_s = entries["timeout_s"].to_numpy()

    def ends_ns(rows: slice) -> Ints:
        state, last_ns, shifted_ns = (column[rows] for column in columns.values())
        waiting, shifted_ns = np.isin(state, _FIN_STATES), shifted_ns.copy()
        expiry_s = result.rules.expiry_uptime_s(clock.uptime_s(last_ns[waiting]), tcpfin_s)
        shifted_ns[waiting] = clock.client_ns(expiry_s)
        return shifted_ns

    def timeouts_s(rows: slice) -> Floats:
        waiting = np.isin(columns["state"][rows], _FIN_STATES)
        return np.where(waiting, tcpfin_s, timeout_s[rows])

    moved = with_columns(
        entries,
        ends_ns=by_stretches(store, len(entries), ends_ns),
        timeout_s=by_stretches(store, len(entries), timeouts_s),
    )
    return replace(prediction, entries=moved)


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
