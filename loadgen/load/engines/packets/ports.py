"""Addresses and ports of our own: dealt out in turn, and again when they have rested."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.forecast.lifetimes import OWN_PORTS

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

PORTS = OWN_PORTS
FIRST_PORT = 65536 - PORTS
"""All but the well-known ones: no kernel keeps any of them for itself."""


class Pairs:
    """Which pairs of address and port are free. A pair is one number: ``source * 65536 + port``.

    Args:
        sources: how many addresses.
        first: the port that each address begins with. It should differ from run to run, or the
            second meets the entries of the first.
        reuse_ns: how long a pair rests before it goes out again, and that it then goes before those
            that never went; None: those that never went first, then whichever has rested longest.
    """

    def __init__(
        self, sources: int, reuse_ns: int | None = None, *, first: int = FIRST_PORT
    ) -> None:
        self._sources = sources
        self._begin = first - FIRST_PORT
        self._reuse_ns = reuse_ns
        self._fresh = 0
        self._resting = np.empty(1024, np.int64)
        self._rested_ns = np.empty(1024, np.int64)
        self._head = self._tail = 0

    def take(self, most: int, now_ns: int) -> Ints:
        """As many pairs as there are, at most so many."""
        if self._reuse_ns is not None:
            again = self._again(most, now_ns - self._reuse_ns)
            return again if len(again) == most else _both(again, self._new(most - len(again)))
        new = self._new(most)
        return new if len(new) == most else _both(new, self._again(most - len(new), now_ns))

    def give_back(self, pairs: Ints, now_ns: int) -> None:
        """They rest from now on."""
        if self._tail + len(pairs) > len(self._resting):
            self._make_room(len(pairs))
        place = slice(self._tail, self._tail + len(pairs))
        self._resting[place] = pairs
        self._rested_ns[place] = now_ns
        self._tail += len(pairs)

    def _new(self, most: int) -> Ints:
        count = min(most, self._sources * PORTS - self._fresh)
        places = np.arange(self._fresh, self._fresh + count)
        self._fresh += count
        port = (places // self._sources + self._begin) % PORTS + FIRST_PORT
        return places % self._sources * 65536 + port

    def _again(self, most: int, since_ns: int) -> Ints:
        """Those that have rested since then or longer, the longest first."""
        end = min(self._head + most, self._tail)
        rested = np.searchsorted(self._rested_ns[self._head : end], since_ns, side="right")
        pairs = self._resting[self._head : self._head + int(rested)].copy()
        self._head += len(pairs)
        return pairs

    def _make_room(self, wanted: int) -> None:
        """To the beginning, in an array twice as long as is needed."""
        held = slice(self._head, self._tail)
        size = 2 * (self._tail - self._head + wanted)
        for name in ("_resting", "_rested_ns"):
            moved = np.empty(max(size, 1024), np.int64)
            moved[: self._tail - self._head] = getattr(self, name)[held]
            setattr(self, name, moved)
        self._tail -= self._head
        self._head = 0


def _both(some: Ints, others: Ints) -> Ints:
    return np.concatenate([some, others])
