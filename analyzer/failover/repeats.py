"""Repeated fail-overs compared with the theory: the last advertisement's age is uniform."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.failover.results import Failover

FITS_S = 0.1
"""Largest difference between a measured outage and its prediction."""

UNLIKELY = 0.01
"""Probability of the measured outages under the theory below which they contradict it."""

FEWEST = 5
"""Fewest runs for which the distribution is judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """The result of repeated runs; numbers of runs count from 1.

    ``apart`` is the most by which the share of runs with an outage of so much or less is off the
    theory's, the uniform distribution over ``range_s``: the distance of Kolmogorov and Smirnov.
    That far or farther, with probability ``p_value``, are runs that follow the theory; farther
    than ``apart_most`` is ``UNLIKELY``. None of too few runs, or where there is no such range.
    """

    runs: int
    planned: int | None  # None where no run says so
    invalid: tuple[int, ...]
    outage_mean_s: float | None
    range_s: tuple[float, float] | None
    apart: float | None
    apart_most: float | None
    p_value: float | None
    worst_error_s: float | None  # seen less predicted
    fit_neither: tuple[int, ...]  # neither their own prediction nor the range
    misjudged: tuple[int, ...]  # not within FITS_S of their own prediction
    sentence: str


def repeats(runs: Sequence[Failover], planned: int | None = None) -> Repeats:
    """Judge runs of one fault on one set-up; fewer runs than planned were interrupted."""
    numbered = {number: run for number, run in enumerate(runs, start=1) if run.valid}
    seen = {n: run for n, run in numbered.items() if run.outage_s is not None}
    outages = np.array([run.outage_s for run in seen.values()], dtype=np.float64)
    errors = {n: apart for n, run in seen.items() if (apart := _error_s(run)) is not None}
    range_s = next((r.predicted_range_s for r in seen.values() if r.predicted_range_s), None)
    wrong = tuple(n for n, error in errors.items() if abs(error) > FITS_S)
    neither = tuple(n for n, run in seen.items() if _is_outside(run, range_s) and n in wrong)
    test = _test(outages, range_s)
    made = Repeats(
        runs=len(runs),
        planned=planned,
        invalid=tuple(n for n, run in enumerate(runs, start=1) if not run.valid),
        outage_mean_s=float(outages.mean()) if len(outages) else None,
        range_s=range_s,
        apart=test.apart if test else None,
        apart_most=test.apart_most if test else None,
        p_value=test.p_value if test else None,
        worst_error_s=max(errors.values(), key=abs, default=None),
        fit_neither=neither,
        misjudged=wrong,
        sentence="",
    )
    return _with_sentence(made, len(seen))


def _error_s(run: Failover) -> float | None:
    if run.outage_s is None or run.predicted_outage_s is None:
        return None
    return run.outage_s - run.predicted_outage_s


def _is_outside(run: Failover, range_s: tuple[float, float] | None) -> bool:
    if range_s is None or run.outage_s is None:
        return False
    return not range_s[0] - FITS_S <= run.outage_s <= range_s[1] + FITS_S


@dataclass(frozen=True, slots=True, kw_only=True)
class _Test:
    """A test of Kolmogorov and Smirnov; see ``Repeats``."""

    apart: float
    apart_most: float
    p_value: float


def _test(outages: np.ndarray, range_s: tuple[float, float] | None) -> _Test | None:
    if range_s is None or range_s[1] <= range_s[0] or len(outages) < FEWEST:
        return None
    from scipy import stats  # takes half a second to import, and most reports are of one run

    result = stats.kstest(outages, stats.uniform(range_s[0], range_s[1] - range_s[0]).cdf)
    return _Test(
        apart=float(result.statistic),
        apart_most=float(stats.kstwo.isf(UNLIKELY, len(outages))),
        p_value=float(result.pvalue),
    )


def _with_sentence(made: Repeats, judged: int) -> Repeats:
    parts = [f"{judged} of {made.runs} runs judged"]
    if made.planned is not None and made.runs < made.planned:
        parts = [f"interrupted after {made.runs} of {made.planned} runs", *parts]
    if made.outage_mean_s is not None:
        parts.append(f"outage {made.outage_mean_s:.2f} s on average")
    if made.range_s is not None:
        parts.append(f"theory {made.range_s[0]:.2f} to {made.range_s[1]:.2f} s")
    if made.p_value is not None:
        verdict = "contradict" if made.p_value < UNLIKELY else "fit"
        parts.append(f"they {verdict} a uniform age (p = {made.p_value:.2g})")
    if made.worst_error_s is not None:
        parts.append(f"at most {abs(made.worst_error_s):.3f} s from their own prediction")
    if made.fit_neither:
        parts.append(f"runs that fit neither: {', '.join(map(str, made.fit_neither))}")
    if made.invalid:
        parts.append(f"invalid: {', '.join(map(str, made.invalid))}")
    return replace(made, sentence="; ".join(parts) + ".")
