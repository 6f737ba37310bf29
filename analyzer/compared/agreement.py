"""Differences between predicted and observed curves and expiries."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.join import seen_entries
from analyzer.compared.states import state_matches
from analyzer.ipvs.timers import granule_jiffies
from analyzer.observed.ends import WIDEST_POLL_GAP_S
from analyzer.parts import are_among
from analyzer.parts.mapped import release
from analyzer.parts.summary import median_of
from analyzer.predicted.entries import TIMER
from analyzer.recording.instants import midway_ns, seconds_since
from analyzer.results import Agreement
from analyzer.units import KNOWN_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.charts.curves import Curve
    from analyzer.observed.entries import Sampled
    from analyzer.observed.parted import Parted
    from analyzer.predicted.entries import Prediction

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

CHANGE_MARGIN_S = 0.2
TOLERATED = 2
"""Entries by which InActConn may differ for a moment without being called a disagreement."""
UNEXPLAINED = "unexplained"
_FINE_S = 0.25
_MOST_SHIFTS = 17
WIDEST_POLL_S = 1.0
"""An expiry may lie beside its poll by the gap between polls, but by no more than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far predicted and observed may differ for known reasons.

    Attributes:
        clock_s: of the two clocks, and of the timers' phase.
        phase_is_known: HZ and the phase of its timers are; else expiries may be a granule off.
        timeout_s: by how much a timeout may be another than it is taken for.
        unseen_packets: the capture is known to have missed some.
        unsure_flows: flows of which it is not known which packets the director took; ascending.
        unsure_since_s: from when on each of them may count otherwise; seconds of the curves.
        hz: of the director; None where not known.
        stamps_s: how well a poll's instant is known against a packet's.
    """

    clock_s: float
    phase_is_known: bool
    unseen_packets: bool
    unsure_flows: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    unsure_since_s: float = float("inf")
    hz: int | None = None
    stamps_s: float = 0.0
    timeout_s: float = 0.0


def agreement(
    prediction: Prediction,
    tracked: Parted,
    samples: Sampled,
    observed: Sequence[Curve],
    predicted: Sequence[Curve],
    tolerance: Tolerance,
    otherwise: Sequence[Sequence[Curve]] = (),
) -> Agreement:
    """How well one director was predicted.

    Args:
        prediction: of this director.
        tracked: its tracked entries, joined (``join.with_packets``).
        samples: its ``observed.entries.state_samples``.
        observed: its polled curves, one per real server.
        predicted: the same from packets.
        tolerance: how far an expiry may be off for reasons that are known.
        otherwise: the predicted curves as they may be as well, where a timeout or the timers are
            not known for certain; each with the same real servers.
    """
    matches, counted = state_matches(
        prediction, samples.without(tolerance.unsure_flows), tolerance.stamps_s
    )
    ended = tracked.each(_timed)
    residuals, beyond_s = _residuals(ended, tolerance)
    errors = _curve_errors(observed, [predicted, *otherwise], _slack_s(ended, tolerance), tolerance)
    return Agreement(
        director=prediction.director,
        entries_observed=seen_entries(tracked, prediction),
        entries_predicted=len(prediction.entries),
        state_matches=matches,
        state_samples=counted,
        active_max_error=errors[0],
        inactive_max_error=errors[1],
        worst_expiry_error_s=_worst_expiry_error_s(ended, tolerance),
        disagreement_polls=errors[2],
        residuals=residuals,
        unexplained_polls=errors[3],
        unexplained_s=beyond_s,
    )


def value_at(t_s: Floats, values: Ints, at_s: Floats) -> Ints:
    """A step curve's value at other instants; 0 before its first."""
    latest = np.searchsorted(t_s, at_s, side="right") - 1
    found = np.zeros(len(at_s), dtype=np.int64)
    found[latest >= 0] = values[latest[latest >= 0]]
    release(t_s)
    release(values)
    return found


def _curve_errors(
    observed: Sequence[Curve],
    predictions: Sequence[Sequence[Curve]],
    slack_s: float,
    tolerance: Tolerance,
) -> tuple[int | None, int | None, int, int]:
    """The largest differences far from any change, and the longest runs of real ones.

    Of the runs the first is of those that differ at all, the second of those that neither a shift
    of the prediction by ``slack_s`` nor all predictions together account for.
    """
    if not observed:
        return None, None, 0, 0
    polled_s = np.unique(np.concatenate([curve.t_s for curve in observed]))
    predicted = predictions[0]
    unsure = np.where(polled_s >= tolerance.unsure_since_s, len(tolerance.unsure_flows), 0)
    off_active = _difference(polled_s, observed, predicted, lambda curve: curve.active)
    off_active = np.maximum(np.abs(off_active) - unsure, 0)
    off_inactive = _difference(polled_s, observed, predicted, _inactive)
    off_inactive = np.maximum(np.abs(off_inactive) - unsure, 0)
    changes_s = [np.unique(np.concatenate([*map(_change_times, observed)]))]
    changes_s += [curve.t_s for curve in predicted]
    calm = np.logical_and.reduce([_far_from(polled_s, each) for each in changes_s])
    beyond = _beyond(polled_s, observed, predictions, tolerance.clock_s, slack_s)
    beyond = np.maximum(beyond - unsure, 0)
    longest = _longest_run(off_inactive > TOLERATED), _longest_run(beyond > TOLERATED)
    if not calm.any():
        return None, None, *longest
    return int(off_active[calm].max()), int(off_inactive[calm].max()), *longest


def _inactive(curve: Curve) -> Ints:
    return curve.inactive


def _beyond(
    polled_s: Floats,
    observed: Sequence[Curve],
    predictions: Sequence[Sequence[Curve]],
    clock_s: float,
    slack_s: float,
) -> Ints:
    """How far each poll's InActConn lies beyond everything predicted for about then."""
    shifts_s = [0.0, -slack_s, slack_s]
    if len(predictions) > 1:
        steps = max(math.ceil(clock_s / _FINE_S), 1)
        shifts_s += list(np.linspace(-clock_s, clock_s, min(2 * steps + 1, _MOST_SHIFTS)))
    off = [
        _difference(polled_s, observed, predicted, _inactive, by_s)
        for predicted in predictions
        for by_s in shifts_s
    ]
    low, high = np.min(off, axis=0), np.max(off, axis=0)
    return np.asarray(np.maximum(np.maximum(low, -high), 0), dtype=np.int64)


def _difference(
    polled_s: Floats,
    observed: Sequence[Curve],
    predicted: Sequence[Curve],
    values: Callable[[Curve], Ints],
    by_s: float = 0.0,
) -> Ints:
    """Predicted, shifted by so much, less observed at each poll, over the real servers in it.

    A removed real server takes its counters out of the table, while its entries stay.
    """
    off = np.zeros(len(polled_s), dtype=np.int64)
    by_server = {curve.real_server: curve for curve in predicted}
    for seen in observed:
        at = np.searchsorted(polled_s, seen.t_s)
        off[at] -= values(seen)
        curve = by_server.pop(seen.real_server, None)
        if curve is not None:
            off[at] += value_at(curve.t_s, values(curve), seen.t_s - by_s)
    for curve in by_server.values():  # entries whose real server is not known
        off += value_at(curve.t_s, values(curve), polled_s - by_s)
    return off


def _change_times(curve: Curve) -> Floats:
    """The polls before and after each polled change."""
    changed = np.flatnonzero((np.diff(curve.active) != 0) | (np.diff(curve.inactive) != 0))
    return np.concatenate([curve.t_s[changed], curve.t_s[changed + 1]])


def _far_from(at_s: Floats, changes_s: Floats) -> Bools:
    if len(changes_s) == 0:
        return np.ones(len(at_s), dtype=bool)
    after = np.searchsorted(changes_s, at_s)
    before_s = np.abs(at_s - changes_s[np.maximum(after - 1, 0)])
    after_s = np.abs(changes_s[np.minimum(after, len(changes_s) - 1)] - at_s)
    release(changes_s)
    return np.asarray(np.minimum(before_s, after_s) > CHANGE_MARGIN_S)


def _longest_run(flags: Bools) -> int:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs.max()) if len(runs) else 0


def _timed(tracked: pd.DataFrame) -> pd.DataFrame:
    """The tracked entries whose expiry was predicted and seen."""
    timed = tracked[(tracked["cause"] == TIMER).fillna(value=False)]
    return timed[timed["absent_ns"].notna() & timed["seen_ns"].notna()]


def _width_s(ended: pd.DataFrame) -> Floats:
    """How far an expiry may lie beside the polls that enclose it."""
    width_s = seconds_since(ended["absent_by_ns"], ended["seen_ns"])
    return np.minimum(np.maximum(width_s, 0.0), WIDEST_POLL_S)


def _slack_s(ended: Parted, tolerance: Tolerance) -> float:
    """How far the predicted curves may lie beside the polled ones in time."""
    width_s = median_of(map(_width_s, ended))
    if math.isnan(width_s):
        return tolerance.clock_s + tolerance.timeout_s
    timer_s = max(float(_timer_s(part, tolerance).max(initial=0.0)) for part in ended)
    return tolerance.clock_s + timer_s + width_s


def _residuals(ended: Parted, tolerance: Tolerance) -> tuple[dict[str, int], float | None]:
    """The number of expiries by the reason of their difference; the largest unexplained one.

    That is how far the expiry lies beside the polls between which the entry expired, in seconds;
    None where none is unexplained.
    """
    counts, beyond_s = Counter[str](), [-math.inf]
    for part in ended:
        reasons, outside_s = _reasons(part, tolerance)
        counts.update(reasons.tolist())
        beyond_s.append(float(outside_s[reasons == UNEXPLAINED].max(initial=-math.inf)))
    worst_s = max(beyond_s)
    return dict(sorted(counts.items())), worst_s if worst_s > -math.inf else None


def _reasons(ended: pd.DataFrame, tolerance: Tolerance) -> tuple[npt.NDArray[np.str_], Floats]:
    """Why each expiry differs, and how far it lies beside its polls, in seconds."""
    zero_ns = _zero_ns(ended)
    ends_s, seen_s, absent_s = (
        seconds_since(ended[name], zero_ns) for name in ("ends_ns", "seen_ns", "absent_by_ns")
    )
    outside_s = np.maximum(np.maximum(seen_s - ends_s, ends_s - absent_s), 0)
    other_step_s = _other_step_s(ended, zero_ns, ends_s, tolerance)
    by_other_s = np.maximum(np.maximum(seen_s - other_step_s, other_step_s - absent_s), 0)
    nearest_s = np.minimum(outside_s, by_other_s)
    timer_s = _timer_s(ended, tolerance)
    otherwise = "unseen_packets" if tolerance.unseen_packets else UNEXPLAINED
    reasons = np.select(
        [
            outside_s == 0,
            are_among(ended["flow"].to_numpy(), tolerance.unsure_flows),
            nearest_s <= tolerance.clock_s,
            outside_s <= tolerance.clock_s + timer_s,
            nearest_s <= tolerance.clock_s + timer_s + _width_s(ended),
        ],
        ["poll", "outage", "clock", "timer", "poll_width"],
        otherwise,
    )
    return reasons, outside_s


def _zero_ns(ended: pd.DataFrame) -> int:
    """The first of these instants, to count seconds from."""
    return int(ended["seen_ns"].min()) if len(ended) else 0


def _timer_s(ended: pd.DataFrame, tolerance: Tolerance) -> Floats:
    """How far each expiry may be off for what is not known of its timer, seconds."""
    if tolerance.phase_is_known:
        return np.full(len(ended), tolerance.timeout_s)
    timeout_s = ended["timeout_s"].to_numpy(dtype=np.float64)
    known_hz = KNOWN_HZ if tolerance.hz is None else (tolerance.hz,)
    late_s = [granule_jiffies(np.rint(timeout_s * hz)) / hz for hz in known_hz]
    return np.asarray(np.max(late_s, axis=0) + tolerance.timeout_s, dtype=np.float64)


def _other_step_s(
    ended: pd.DataFrame, zero_ns: int, ends_s: Floats, tolerance: Tolerance
) -> Floats:
    """The step of the wheel that a last packet would lead to, were the clocks a little off.

    A nominal instant that lies nearer to a step's edge than the clocks are known may belong to
    the next step or to the one before: the prediction is then off by a whole granule.
    """
    if tolerance.hz is None or ended.empty:
        return ends_s
    timeout_s = ended["timeout_s"].to_numpy(dtype=np.float64)
    late_s = granule_jiffies(np.rint(timeout_s * tolerance.hz)) / tolerance.hz
    nominal_s = seconds_since(ended["last_ns"], zero_ns) + timeout_s
    near_s = tolerance.clock_s + 1 / tolerance.hz
    past_s = nominal_s - (ends_s - late_s)
    other: Floats = np.select(
        [past_s <= near_s, late_s - past_s <= near_s], [ends_s - late_s, ends_s + late_s], ends_s
    )
    return other


def _worst_expiry_error_s(ended: Parted, tolerance: Tolerance) -> float | None:
    """How far an expiry lay from the middle of its polls; by polls near each other, if any are."""
    worst_s = {True: -math.inf, False: -math.inf}
    for part in ended:
        rows = part[~are_among(part["flow"].to_numpy(), tolerance.unsure_flows)]
        narrow = seconds_since(rows["absent_by_ns"], rows["seen_ns"]) <= WIDEST_POLL_GAP_S
        middle_ns = midway_ns(rows["seen_ns"], rows["absent_by_ns"])
        off_s = np.abs(seconds_since(rows["ends_ns"], middle_ns))
        for is_narrow, worst in worst_s.items():
            worst_s[is_narrow] = max(
                worst, float(off_s[narrow == is_narrow].max(initial=-math.inf))
            )
    found_s = worst_s[True] if worst_s[True] > -math.inf else worst_s[False]
    return found_s if found_s > -math.inf else None
