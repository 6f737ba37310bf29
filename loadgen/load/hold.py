"""How long a connection is held before its close: a time, or a distribution of times with a seed.

A connection's time is a pure function of the seed and the request's number, so a run repeats,
whoever sends which request and in whatever order they end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]

Distribution = Literal["fixed", "uniform", "exponential"]

LONGEST_S = 1e9
_GAMMA = np.uint64(0x9E3779B97F4A7C15)  # SplitMix64 (Steele, Lea, Flood 2014)
_MIX = ((np.uint64(30), 0xBF58476D1CE4E5B9), (np.uint64(27), 0x94D049BB133111EB))
_SHIFT, _SPARE_BITS = np.uint64(31), np.uint64(11)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """The times between response and close.

    Attributes:
        distribution: which.
        given_s: of ``fixed`` the time, of ``uniform`` the shortest and the longest, of
            ``exponential`` the mean.
        seed: of what is random in it.
    """

    distribution: Distribution = "fixed"
    given_s: tuple[float, ...] = (0.0,)
    seed: int = 0

    @property
    def mean_s(self) -> float:
        """On average."""
        return sum(self.given_s) / len(self.given_s)

    @property
    def varies(self) -> bool:
        """Whether connections differ."""
        return self.distribution != "fixed"

    @property
    def trouble(self) -> str | None:
        """What is wrong with it, in words that follow ``--hold:``; None if nothing is."""
        if not all(0 <= seconds < LONGEST_S for seconds in self.given_s):
            return "expected 0 or more"
        if list(self.given_s) != sorted(self.given_s):
            return "expected the shortest time before the longest"
        return None

    def manifest(self) -> dict[str, Any]:
        """``plan.hold`` of ``run.json``."""
        return {"distribution": self.distribution, "told_s": self.given_s, "seed": self.seed}

    def ns(self, number: int) -> int:
        """How long the connection of a request is held."""
        if not self.varies:
            return round(self.given_s[0] * NS_PER_S)
        return int(self.ns_of(np.array([number]))[0])

    def ns_of(self, numbers: Ints) -> Ints:
        """How long each is held; shape (n,), as the requests' numbers have it."""
        held_s = _QUANTILES[self.distribution](_evenly(numbers, self.seed), self.given_s)
        return np.rint(held_s * NS_PER_S).astype(np.int64)


_QUANTILES: Mapping[Distribution, Callable[[Floats, Sequence[float]], Floats]] = {
    "fixed": lambda part, given_s: np.full_like(part, given_s[0]),
    "uniform": lambda part, given_s: given_s[0] + part * (given_s[1] - given_s[0]),
    "exponential": lambda part, given_s: -given_s[0] * np.log1p(-part),
}
"""The time that a given part of all connections does not exceed."""


def _evenly(numbers: Ints, seed: int) -> Floats:
    """A number in [0, 1) for each, as good as random: SplitMix64's output at that place."""
    begin = np.array([seed & 0xFFFFFFFF], np.uint64) << np.uint64(32)
    mixed = (numbers.astype(np.uint64) + begin + np.uint64(1)) * _GAMMA
    for bits, factor in _MIX:
        mixed = (mixed ^ (mixed >> bits)) * np.uint64(factor)
    mixed ^= mixed >> _SHIFT
    return np.asarray((mixed >> _SPARE_BITS) * 2.0**-53, np.float64)
