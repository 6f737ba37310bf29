"""Predicted beside observed, and by how much they differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.instants import midway_ns, seconds_since
from analyzer.ipvs.states import State
from analyzer.ipvs.timers import granule_jiffies
from analyzer.join import servers_seen
from analyzer.predict import TIMER
from analyzer.results import Agreement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.courses import Curve
    from analyzer.observed import Sampled
    from analyzer.predict import Prediction

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
    samples: Sampled,
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
        entries_observed=int(servers_seen(lives, prediction.entries).notna().sum()),
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


def _state_matches(prediction: Prediction, samples: Sampled) -> tuple[int, int]:
    """How many polled states were the predicted ones, of those not too near a packet."""
    steps, held, polls = prediction.steps, samples.held, len(samples.polled_ns)
    first, until = _calm_polls(steps, samples.polled_ns)
    told, found = _overlapping(
        _ranges(steps["flow"].to_numpy(), first, until, polls),
        _ranges(held["flow"].to_numpy(), held["first"].to_numpy(), held["until"].to_numpy(), polls),
    )
    common = np.minimum(until[told], held["until"].to_numpy()[found])
    common -= np.maximum(first[told], held["first"].to_numpy()[found])
    codes, names = held["state"].factorize()
    numbers = np.array([State.__members__.get(str(name), -1) for name in names], dtype=np.int64)
    polled = numbers[codes] if len(names) else codes
    same = steps["state"].to_numpy()[told] == polled[found]
    return int(common[same].sum()), int(common.sum())


def _calm_polls(steps: pd.DataFrame, polled_ns: Ints) -> tuple[Ints, Ints]:
    """The polls between each packet and the next of its flow, those near either left out."""
    flow, at_ns = steps["flow"].to_numpy(), steps["at_ns"].to_numpy()
    first = np.searchsorted(polled_ns, at_ns + PACKET_MARGIN_NS, side="right")
    until = np.full(len(at_ns), len(polled_ns))
    before = np.searchsorted(polled_ns, at_ns[1:] - PACKET_MARGIN_NS)
    until[:-1] = np.where(flow[1:] == flow[:-1], before, until[:-1])
    return first, np.maximum(first, until)


def _ranges(flow: Ints, first: Ints, until: Ints, polls: int) -> tuple[Ints, Ints]:
    """Ranges of polls as numbers that are apart for each flow."""
    base = flow.astype(np.int64) * (polls + 1)
    return base + first, base + until


def _overlapping(told: tuple[Ints, Ints], found: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Pairs of ranges that have polls in common; ascending, those of one side disjoint."""
    first = np.searchsorted(told[1], found[0], side="right")
    counts = np.maximum(np.searchsorted(told[0], found[1]) - first, 0)
    which = np.repeat(np.arange(len(counts)), counts)
    step = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return first[which] + step, which


def _residuals(lives: pd.DataFrame, doubt: Doubt) -> dict[str, int]:
    """How many expiries' differences are put down to what."""
    timed = lives[(lives["cause"] == TIMER).fillna(value=False)]
    gone = timed[timed["gone_ns"].notna() & timed["seen_ns"].notna()]
    zero_ns = _zero_ns(gone)
    ends_s, seen_s, gone_s = (
        seconds_since(gone[name], zero_ns) for name in ("ends_ns", "seen_ns", "gone_by_ns")
    )
    outside_s = np.maximum(np.maximum(seen_s - ends_s, ends_s - gone_s), 0)
    other_s = _other_step_s(gone, zero_ns, ends_s, doubt)
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


def _zero_ns(gone: pd.DataFrame) -> int:
    """An instant near the others, to count seconds from."""
    return int(gone["seen_ns"].min()) if len(gone) else 0


def _other_step_s(gone: pd.DataFrame, zero_ns: int, ends_s: Floats, doubt: Doubt) -> Floats:
    """The step of the wheel that a last packet would lead to, were the clocks a little off.

    A nominal instant that lies nearer to a step's edge than the clocks are known may belong to
    the next step or to the one before: the prediction is then off by a whole granule.
    """
    if doubt.hz is None or gone.empty:
        return ends_s
    timeout_s = gone["timeout_s"].to_numpy(dtype=np.float64)
    late_s = granule_jiffies(np.rint(timeout_s * doubt.hz)) / doubt.hz
    nominal_s = seconds_since(gone["last_ns"], zero_ns) + timeout_s
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
    middle_ns = midway_ns(gone["seen_ns"], gone["gone_by_ns"])
    return float(np.abs(seconds_since(gone["ends_ns"], middle_ns)).max())
