"""Timeouts that were not read: measured by the falls of the counters, for the prediction."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.estimate.state_timeouts import if_read
from analyzer.ipvs.states import State
from analyzer.results import NotMeasured

if TYPE_CHECKING:
    from analyzer.estimate.falls.lifetimes import Fallen
    from analyzer.predicted.replay import DirectorRules
    from analyzer.recording.director import Director
    from analyzer.results import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class RulesByFalls:
    """Rules of a prediction with the timeouts that the falls measured.

    Attributes:
        notes: a note for each timeout that was taken from them.
        uncertainty_s: of these timeouts, the worst; 0 without any.
    """

    rules: DirectorRules
    notes: tuple[NotMeasured, ...] = ()
    uncertainty_s: float = 0.0


def settled(rules: DirectorRules, fallen: Fallen, director: Director) -> RulesByFalls:
    """DirectorRules with timeouts as measured, where they were only assumed and are not as assumed.

    Args:
        rules: of the prediction that ``fallen`` was measured with.
        fallen: the lifetimes by the falls.
        director: its facts; what it was read to have configured stands.
    """
    by_falls = RulesByFalls(rules=rules)
    for row in fallen.rows:
        measured, field = row.timeout_measured_s, f"{row.timeout_name}_s"
        if measured is None or if_read(director, State[row.state], 0.0) is not None:
            continue
        assumed_s = float(getattr(rules.timeouts, field))
        if abs(assumed_s - measured.value) <= measured.uncertainty:
            continue
        value_s = _whole(measured)
        timeouts = replace(by_falls.rules.timeouts, **{field: value_s})
        why = (
            f"not read; the falls of the counters measure {measured.value:.1f} ± "
            f"{measured.uncertainty:.1f} s, and predictions go by {value_s:g} s instead of the "
            f"kernel's default of {assumed_s:g} s"
        )
        what = f"{row.timeout_name} as configured on {director.name}"
        by_falls = RulesByFalls(
            rules=replace(by_falls.rules, timeouts=timeouts),
            notes=(*by_falls.notes, NotMeasured(what=what, why=why)),
            uncertainty_s=max(by_falls.uncertainty_s, measured.uncertainty),
        )
    return by_falls


def _whole(measured: Estimate) -> float:
    """The whole second nearest to the estimate, as ``--set`` takes; else the estimate."""
    nearest_s = float(round(measured.value))
    return nearest_s if abs(nearest_s - measured.value) <= measured.uncertainty else measured.value
