"""Predictions for the same packets under other values of tcpfin, computed ahead."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.thinning import kept
from analyzer.charts.values import OtherTcpfin
from analyzer.ipvs.states import TIMEOUT_NAMES, is_active
from analyzer.other_settings.what_if import Assumption, answer, predicted_under
from analyzer.predicted.entries import TIMER, changes_by_packets
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.charts.curves import Curve
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.predicted.entries import CounterChanges, Prediction
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
        everything = np.arange(len(result.prediction.entries))
        by_packets = changes_by_packets(
            result.prediction, everything, is_active(result.director.kernel)
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
        inactive_s=_inactive_s(curve, len(prediction.entries)),
        answer=replayed,
        curve=_thinned(curve),
    )


def longest_wait_s(prediction: Prediction, rules: DirectorRules) -> float | None:
    """The longest that an entry waited for tcpfin and was then found by a packet.

    A longer tcpfin moves the ends of entries and nothing else. None where any tcpfin may change
    more: where a flow made several entries, one was cut short, or tcpfin was set meanwhile.
    """
    entries = prediction.entries
    if (
        rules.changes
        or rules.secure_tcp
        or not entries["flow"].is_unique
        or (entries["cause"] != TIMER).any()
    ):
        return None
    return max(map(_longest_wait_ns, prediction.parts())) / NS_PER_S


def _longest_wait_ns(steps: pd.DataFrame) -> int:
    entry, at_ns = steps["entry"].to_numpy(), steps["at_ns"].to_numpy()
    waited = np.isin(steps["state"].to_numpy()[:-1], _FIN_STATES) & (entry[1:] == entry[:-1])
    return int(np.diff(at_ns)[waited].max(initial=0))


def shifted(
    result: Measured, evidence: Evidence, prediction: Prediction, tcpfin_s: float
) -> Prediction:
    """The prediction with the entries that wait for tcpfin ending by another value."""
    entries = prediction.entries
    waiting = entries["state"].isin(_FIN_STATES).to_numpy()
    clock = evidence.by_director[result.director.name].clock
    last_s = clock.uptime_s(entries.loc[waiting, "last_ns"].to_numpy(dtype=np.int64))
    ends_ns, timeout_s = entries["ends_ns"].to_numpy(copy=True), entries["timeout_s"]
    ends_ns[waiting] = clock.client_ns(result.rules.expiry_uptime_s(last_s, tcpfin_s))
    timeout_s = timeout_s.mask(waiting, tcpfin_s)
    return replace(prediction, entries=entries.assign(ends_ns=ends_ns, timeout_s=timeout_s))


def _inactive_s(curve: Curve, entries: int) -> float:
    """The area below InActConn, shared out among all entries."""
    area = float(np.sum(np.diff(curve.t_s) * curve.inactive[:-1])) if curve.t_s.size else 0.0
    return area / entries if entries else 0.0


def _thinned(curve: Curve) -> Curve:
    chosen = np.union1d(kept(curve.active, points=POINTS), kept(curve.inactive, points=POINTS))
    return replace(
        curve,
        t_s=curve.t_s[chosen],
        active=curve.active[chosen],
        inactive=curve.inactive[chosen],
    )
