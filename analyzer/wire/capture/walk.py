"""The offsets of a capture file's records, without a step of Python for each.

A record's place is known only from the lengths of all before it. So the file is cut into *lanes*;
in each, the first offset at which a record might begin is guessed, and all lanes are walked at
once, a record each, as one operation on arrays. A guess is never trusted: from the first lane on,
a lane counts only if the lane before it ended where this one began. Where it did not, this lane
is walked again, record by record, until it meets what was guessed. The outcome is that of a walk
from the beginning, whatever the bytes; a wrong guess costs time alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Ints


STOP = 2**62
"""The next offset where no whole record begins."""

SAMPLE = 256
"""Records that are walked one by one first, which also gives their usual length."""

_NONE = -1
_WINDOW = 128
_FARTHEST_GUESS = 1 << 17
_LANES_PER_STEP = 4  # a step of all lanes costs as much as so many guesses
_MOST_LANES = 4096


class Chain(Protocol):
    """Consecutive records, each with its own length."""

    @property
    def step(self) -> int:
        """Records begin at multiples of it from where the first begins."""

    def after(self, at: Ints) -> Ints:
        """Where the record at each offset ends; STOP where no whole one begins."""

    def next_after(self, at: int) -> int:
        """Where the record at one offset ends, as ``after``."""

    def plausible(self, at: Ints) -> Bools:
        """Whether a record might begin at each offset, to check a guess."""


def walk(chain: Chain, start: int, limit: int, sample: int = SAMPLE) -> Ints:
    """The offsets of all whole records that begin in ``start`` up to ``limit``, ascending.

    Args:
        chain: the records.
        start: where the first one begins.
        limit: below it any offset may be passed to the chain.
        sample: walked one by one before lanes are cut.
    """
    first, at = _walk_singly(chain, start, limit, sample)
    if at >= limit:
        return _array(first)
    expected = (limit - at) * len(first) // (at - start)
    if expected < 4 * sample:
        return _array(first + _walk_singly(chain, at, limit)[0])
    lanes = min(math.isqrt(expected * _LANES_PER_STEP), _MOST_LANES)
    bounds = np.linspace(at, limit, lanes + 1).astype(np.int64)
    bounds[:-1] -= (bounds[:-1] - at) % chain.step
    return np.concatenate([_array(first), _in_lanes(chain, bounds)])


def _array(offsets: list[int]) -> Ints:
    return np.array(offsets, dtype=np.int64)


def _walk_singly(
    chain: Chain, at: int, limit: int, most: float = math.inf, until: frozenset[int] = frozenset()
) -> tuple[list[int], int]:
    """Offsets from ``at``, and where the walk stands: in ``until``, at ``limit`` or beyond."""
    offsets: list[int] = []
    while at < limit and len(offsets) < most and at not in until:
        after = chain.next_after(at)
        if after >= STOP:
            return offsets, STOP
        offsets.append(at)
        at = after
    return offsets, at


def _in_lanes(chain: Chain, bounds: Ints) -> Ints:
    starts = _guesses(chain, bounds)
    lanes, offsets, exits = _all_at_once(chain, starts, bounds[1:])
    steps = np.full((len(lanes), len(starts)), _NONE)
    for step, lane, at in zip(steps, lanes, offsets, strict=True):
        step[lane] = at
    is_there = steps.T != _NONE
    ordered: Ints = steps.T[is_there]
    ends = np.cumsum(np.count_nonzero(is_there, axis=1))
    if np.array_equal(starts[1:], exits[:-1]):
        return ordered
    return _mended(chain, bounds[1:], starts, exits, np.split(ordered, ends[:-1]))


def _guesses(chain: Chain, bounds: Ints) -> Ints:
    """Each lane's first plausible offset; the first lane's is certain; STOP where none is near."""
    guesses = np.full(len(bounds) - 1, STOP, dtype=np.int64)
    guesses[0] = bounds[0]
    pending, reach = np.arange(1, len(guesses)), 0
    window = np.arange(0, _WINDOW * chain.step, chain.step)
    while len(pending) and reach < _FARTHEST_GUESS:
        at = bounds[pending, None] + reach + window
        inside = at < bounds[pending + 1, None]
        good = np.zeros(at.shape, dtype=bool)
        good[inside] = chain.plausible(at[inside])
        seen = good.any(axis=1)
        guesses[pending[seen]] = at[seen, good[seen].argmax(axis=1)]
        reach += _WINDOW * chain.step
        pending = pending[~seen & (bounds[pending] + reach < bounds[pending + 1])]
    return guesses


def _all_at_once(chain: Chain, starts: Ints, limits: Ints) -> tuple[list[Ints], list[Ints], Ints]:
    """Every lane a record further, until all have left: lanes and offsets of each step; exits."""
    lanes: list[Ints] = []
    offsets: list[Ints] = []
    exits = starts.copy()
    alive = np.flatnonzero(starts < limits)
    at, ends = starts[alive], limits[alive]
    while len(alive):
        after = chain.after(at)
        stays = after < ends
        if stays.all():  # as at most steps
            lanes.append(alive)
            offsets.append(at)
            at = after
            continue
        whole = after < STOP
        lanes.append(alive[whole])
        offsets.append(at[whole])
        exits[alive] = after
        alive, at, ends = alive[stays], after[stays], ends[stays]
    return lanes, offsets, exits


def _mended(chain: Chain, limits: Ints, starts: Ints, exits: Ints, lanes: list[Ints]) -> Ints:
    """The lanes joined from the first on; what was guessed wrong is walked again."""
    parts: list[Ints] = []
    at = int(starts[0])
    for lane, guessed in enumerate(lanes):
        limit = int(limits[lane])
        if at >= limit:
            continue  # a record that covers the lane, or the end of all
        if at == starts[lane]:
            parts.append(guessed)
            at = int(exits[lane])
            continue
        known = frozenset(guessed.tolist())
        again, at = _walk_singly(chain, at, limit, until=known)
        parts.append(_array(again))
        if at in known:
            parts.append(guessed[np.searchsorted(guessed, at) :])
            at = int(exits[lane])
    return np.concatenate(parts)
