"""Predicted beside observed, and by how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import State
from analyzer.ipvs.timers import granule_jiffies
from analyzer.predict import TIMER
from analyzer.results import Agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from analyzer.predict import Prediction
    from analyzer.results import Curve

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]

PACKET_MARGIN_NS = 30_000_000
CHANGE_MARGIN_S = 0.2
TOLERATED = 2
"""Entries by which InActConn may differ for a moment without being called a disagreement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How far predicted and observed may part for a known reason.

    Attributes:
        clock_s: of the two clocks, and of the timers' phase.
        timer_s: a granule, where HZ or the phase is not known; else 0.
        unseen_packets: the capture is known to have missed some.
        hz: of the director; None where not known.
    """

    clock_s: float
    timer_s: float
    unseen_packets: bool
    hz: int | None = None


def agreement(
    prediction: Prediction,
    lives: pd.DataFrame,
    samples: pd.DataFrame,
    observed: Sequence[Curve],
    predicted: Sequence[Curve],
    doubt: Doubt,
) -> Agreement:
    """How well one director was predicted.

    Args:
        prediction: of this director.
        lives: its observed lives, joined (``join.with_packets``).
        samples: its ``observed.state_samples``.
        observed: its polled curves, one per real server.
        predicted: the same from packets.
        doubt: how far an expiry may be off for reasons that are known.
    """
    matches, counted = _state_matches(prediction, samples)
    errors = _curve_errors(observed, predicted)
    return Agreement(
        director=prediction.director,
        entries_observed=int(lives["entry"].notna().sum()),
        entries_predicted=len(prediction.entries),
        state_matches=matches,
        state_samples=counted,
        active_max_error=errors[0],
        inactive_max_error=errors[1],
        worst_expiry_error_s=_worst_expiry_error_s(lives),
        disagreement_polls=errors[2],
        residuals=_residuals(lives, doubt),
    )


def value_at(t_s: Floats, values: Ints, at_s: Floats) -> Ints:
    """A step curve's value at other instants; 0 before its first."""
    index = np.searchsorted(t_s, at_s, side="right")
    return np.asarray(np.r_[0, values][index], dtype=np.int64)


def _curve_errors(
    observed: Sequence[Curve], predicted: Sequence[Curve]
) -> tuple[int | None, int | None, int]:
    """The largest differences far from any change, and the longest run of real ones."""
    if not observed:
        return None, None, 0
    polled_s = np.unique(np.concatenate([curve.t_s for curve in observed]))
    off_active = _difference(polled_s, observed, predicted, lambda curve: curve.active)
    off_inactive = _difference(polled_s, observed, predicted, lambda curve: curve.inactive)
    changes_s = np.unique(np.concatenate([*map(_change_times, observed), *_steps(predicted)]))
    calm = _far_from(polled_s, changes_s)
    longest = _longest_run(off_inactive > TOLERATED)
    if not calm.any():
        return None, None, longest
    return int(off_active[calm].max()), int(off_inactive[calm].max()), longest


def _steps(predicted: Sequence[Curve]) -> list[Floats]:
    return [curve.t_s for curve in predicted]


def _difference(
    polled_s: Floats,
    observed: Sequence[Curve],
    predicted: Sequence[Curve],
    values: Callable[[Curve], Ints],
) -> Ints:
    """Predicted less observed at each poll, without sign, over the real servers listed in it.

    A removed real server takes its counters out of the table, while its entries stay.
    """
    off = np.zeros(len(polled_s), dtype=np.int64)
    by_server = {curve.real_server: curve for curve in predicted}
    for seen in observed:
        at = np.searchsorted(polled_s, seen.t_s)
        off[at] -= values(seen)
        curve = by_server.pop(seen.real_server, None)
        if curve is not None:
            off[at] += value_at(curve.t_s, values(curve), seen.t_s)
    for curve in by_server.values():  # entries whose real server could not be told
        off += value_at(curve.t_s, values(curve), polled_s)
    return np.abs(off)


def _change_times(curve: Curve) -> Floats:
    """Both polls around each change that was polled."""
    changed = np.flatnonzero((np.diff(curve.active) != 0) | (np.diff(curve.inactive) != 0))
    return np.concatenate([curve.t_s[changed], curve.t_s[changed + 1]])


def _far_from(at_s: Floats, changes_s: Floats) -> Bools:
    if len(changes_s) == 0:
        return np.ones(len(at_s), dtype=bool)
    after = np.searchsorted(changes_s, at_s)
    before_s = np.abs(at_s - changes_s[np.maximum(after - 1, 0)])
    after_s = np.abs(changes_s[np.minimum(after, len(changes_s) - 1)] - at_s)
    return np.asarray(np.minimum(before_s, after_s) > CHANGE_MARGIN_S)


def _longest_run(flags: Bools) -> int:
    edges = np.flatnonzero(np.diff(np.r_[False, flags, False].astype(np.int8)))
    runs = edges[1::2] - edges[::2]
    return int(runs.max()) if len(runs) else 0


def _state_matches(prediction: Prediction, samples: pd.DataFrame) -> tuple[int, int]:
    """How many polled states were the predicted ones, of those not too near a packet."""
    if samples.empty or prediction.steps.empty:
        return 0, 0
    left = samples.astype({"flow": "int64", "at_ns": "int64"}).sort_values("at_ns")
    right = prediction.steps.rename(columns={"at_ns": "packet_ns", "state": "predicted"})
    right = right.astype({"flow": "int64"}).sort_values("packet_ns")
    past, coming = (
        pd.merge_asof(
            left, right, left_on="at_ns", right_on="packet_ns", by="flow", direction=direction
        )
        for direction in ("backward", "forward")
    )
    calm = (past["at_ns"] - past["packet_ns"] > PACKET_MARGIN_NS) & ~(
        coming["packet_ns"] - coming["at_ns"] <= PACKET_MARGIN_NS
    )
    codes, names = past.loc[calm, "state"].factorize()
    numbers = np.array([State.__members__.get(str(name), -1) for name in names], dtype=np.int64)
    polled = numbers[codes] if len(names) else codes
    return int((past.loc[calm, "predicted"].to_numpy() == polled).sum()), int(calm.sum())


def _residuals(lives: pd.DataFrame, doubt: Doubt) -> dict[str, int]:
    """How many expiries' differences are put down to what."""
    timed = lives[(lives["cause"] == TIMER).fillna(value=False)]
    gone = timed[timed["gone_ns"].notna() & timed["seen_ns"].notna()]
    ends_s, seen_s, gone_s = (
        gone[name].to_numpy(dtype=np.float64) / 1e9 for name in ("ends_ns", "seen_ns", "gone_ns")
    )
    outside_s = np.maximum(np.maximum(seen_s - ends_s, ends_s - gone_s), 0)
    other_s = _other_step_s(gone, ends_s, doubt)
    by_other_s = np.maximum(np.maximum(seen_s - other_s, other_s - gone_s), 0)
    otherwise = "unseen_packets" if doubt.unseen_packets else "unexplained"
    reasons = np.select(
        [
            outside_s == 0,
            np.minimum(outside_s, by_other_s) <= doubt.clock_s,
            outside_s <= doubt.clock_s + doubt.timer_s,
        ],
        ["poll", "clock", "timer"],
        otherwise,
    )
    names, counts = np.unique(reasons, return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def _other_step_s(gone: pd.DataFrame, ends_s: Floats, doubt: Doubt) -> Floats:
    """The step of the wheel that a last packet would lead to, were the clocks a little off.

    A nominal instant that lies nearer to a step's edge than the clocks are known may belong to
    the next step or to the one before: the prediction is then off by a whole granule.
    """
    if doubt.hz is None or gone.empty:
        return ends_s
    timeout_s = gone["timeout_s"].to_numpy(dtype=np.float64)
    late_s = granule_jiffies(np.rint(timeout_s * doubt.hz)) / doubt.hz
    nominal_s = gone["last_ns"].to_numpy(dtype=np.float64) / 1e9 + timeout_s
    near_s = doubt.clock_s + 1 / doubt.hz
    past_s = nominal_s - (ends_s - late_s)
    other: Floats = np.select(
        [past_s <= near_s, late_s - past_s <= near_s], [ends_s - late_s, ends_s + late_s], ends_s
    )
    return other


def _worst_expiry_error_s(lives: pd.DataFrame) -> float | None:
    timed = lives[(lives["cause"] == TIMER).fillna(value=False)]
    gone = timed[timed["gone_ns"].notna() & timed["seen_ns"].notna()]
    if gone.empty:
        return None
    middle_ns = gone["seen_ns"].astype("float64") / 2 + gone["gone_ns"].astype("float64") / 2
    return float((gone["ends_ns"].astype("float64") - middle_ns).abs().max()) / 1e9
