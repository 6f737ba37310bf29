"""One quantity of two runs: its values, the difference, and the verdict.

A difference within its tolerance is none. ``alike`` says that no difference was shown, not that
there is none: how large one may still be stands in ``low`` and ``high``. What too few values can
show is ``unknown``, never alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Verdict = Literal["alike", "higher", "lower", "unknown"]
Unit = Literal["s", "ms", ""]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """Differences that do not count; of a share and an absolute bound the larger applies."""

    timeout_s: float = 0.1
    latency_share: float = 0.2
    latency_ms: float = 0.5
    peak_share: float = 0.05
    peak: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One quantity of two runs.

    Attributes:
        quantity: such as ``timeout(FIN_WAIT)``, ``connect_p99``, ``failed``.
        unit: ``s``, ``ms`` or "" of a count.
        before, after: the values; None where a run does not have it.
        difference: after less before.
        low, high: bounds of the difference (equal for a count); None where unknown.
        tolerance: what was allowed.
        by: how it was judged.
    """

    quantity: str
    unit: Unit
    before: float | None
    after: float | None
    difference: float | None
    low: float | None
    high: float | None
    tolerance: float
    verdict: Verdict
    by: str


def judged(
    name: str,
    unit: Unit,
    values: tuple[float, float],
    interval: tuple[float, float],
    tolerance: float,
    by: str,
) -> Difference:
    """A quantity that both runs have, judged by the bounds of its difference.

    Args:
        name: the quantity.
        unit: of all numbers here.
        values: of the earlier run and of the later one.
        interval: the lowest and the highest that later less earlier may be.
        tolerance: a difference within this does not count.
        by: how it was judged.
    """
    low, high = interval
    verdict: Verdict = "higher" if low > tolerance else "lower" if high < -tolerance else "alike"
    return Difference(
        quantity=name,
        unit=unit,
        before=values[0],
        after=values[1],
        difference=values[1] - values[0],
        low=low,
        high=high,
        tolerance=tolerance,
        verdict=verdict,
        by=by,
    )


def unknown(
    name: str,
    unit: Unit,
    values: tuple[float | None, float | None],
    tolerance: float,
    by: str,
) -> Difference:
    """A quantity that one run does not have, or has too little of; ``by`` is the reason."""
    return Difference(
        quantity=name,
        unit=unit,
        before=values[0],
        after=values[1],
        difference=None,
        low=None,
        high=None,
        tolerance=tolerance,
        verdict="unknown",
        by=by,
    )


def changed(compared: Sequence[Difference]) -> tuple[Difference, ...]:
    """The differences beyond uncertainty and tolerance."""
    return tuple(difference for difference in compared if difference.verdict in ("higher", "lower"))
