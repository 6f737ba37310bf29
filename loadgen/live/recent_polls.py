"""Recent polls, kept in memory: the counters and entries that a live page draws."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.curves import Curve
from analyzer.charts.values import StateSeries
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Ints
    from loadgen.director.polling.poller import Poller
    from loadgen.live.view import DirectorView

KEPT_S = 900.0
KEPT_POLLS = 4000
"""Of one director, however often it is polled."""

SERVERS = 200
"""Real servers of one director that have a curve of their own."""

STATES = 20


@dataclass(frozen=True, slots=True)
class _Poll:
    """The counters of one director: a row of ``counts`` each for active and inactive."""

    t_s: float
    servers: tuple[str, ...]
    counts: Ints


@dataclass(slots=True)
class RecentPolls:
    """One director's late polls.

    Attributes:
        peak: the highest InActConn over all that is watched, of the whole run; None before a poll.
    """

    director: str
    zero_ns: int
    peak: int | None = None
    _polls: deque[_Poll] = field(default_factory=lambda: deque(maxlen=KEPT_POLLS))
    _states: deque[tuple[float, dict[str, int]]] = field(
        default_factory=lambda: deque(maxlen=KEPT_POLLS)
    )
    _polled_ns: int | None = None
    _read_ns: int | None = None

    def take(self, poller: Poller) -> None:
        """Take a poll that is new."""
        if poller.polled_ns is None or poller.polled_ns == self._polled_ns:
            return
        self._polled_ns = poller.polled_ns
        sums: dict[str, list[int]] = {}
        for service in poller.services:
            for server in service.destinations:
                held = sums.setdefault(f"{server.address}:{server.port}", [0, 0])
                held[0] += server.active
                held[1] += server.inactive
        self.peak = max(self.peak or 0, sum(inactive for _, inactive in sums.values()))
        chosen = tuple(sums)[:SERVERS]
        counts = np.array([sums[name] for name in chosen], np.int64).reshape(-1, 2).T
        self._polls.append(_Poll(self._since_start_s(poller.polled_ns), chosen, counts))
        self._forget(self._polls[-1].t_s - KEPT_S)

    def take_entries(self, view: DirectorView) -> None:
        """Take a read of the entries that is new."""
        read_ns = view.entries_read_ns
        if not view.up or read_ns is None or read_ns == self._read_ns:
            return
        self._read_ns = read_ns
        states: dict[str, int] = {}
        for server in view.servers:
            for state, n in (server.held.states if server.held else {}).items():
                if state in states or len(states) < STATES:
                    states[state] = states.get(state, 0) + n
        self._states.append((self._since_start_s(read_ns), states))

    def _since_start_s(self, at_ns: int) -> float:
        return (at_ns - self.zero_ns) / NS_PER_S

    def _forget(self, before_s: float) -> None:
        while self._polls[0].t_s < before_s:
            self._polls.popleft()
        while self._states and self._states[0][0] < before_s:
            self._states.popleft()

    def curves(self) -> tuple[Curve, ...]:
        """A curve for each real server that has been there."""
        blocks = [_block(list(polls)) for _, polls in groupby(self._polls, lambda p: p.servers)]
        names = dict.fromkeys(name for servers, _, _ in blocks for name in servers)
        return tuple(_curve(self.director, name, blocks) for name in names)

    def course(self) -> StateSeries:
        """The entries by state; without a point where they have not been read."""
        names = dict.fromkeys(name for _, states in self._states for name in states)
        return StateSeries(
            director=self.director,
            source="observed",
            t_s=np.array([t_s for t_s, _ in self._states], np.float64),
            counts={
                name: np.array([states.get(name, 0) for _, states in self._states], np.int64)
                for name in names
            },
        )


_Block = tuple[tuple[str, ...], "np.ndarray[tuple[int], np.dtype[np.float64]]", "Ints"]
"""Polls of the same real servers: names (m,), t_s (n,), counts (n, 2, m)."""


def _block(polls: Sequence[_Poll]) -> _Block:
    t_s = np.array([poll.t_s for poll in polls], np.float64)
    return polls[0].servers, t_s, np.stack([poll.counts for poll in polls])


def _curve(director: str, name: str, blocks: Sequence[_Block]) -> Curve:
    series = [
        (t_s, counts[:, :, names.index(name)]) for names, t_s, counts in blocks if name in names
    ]
    counts = np.concatenate([values for _, values in series])
    return Curve(
        director=director,
        real_server=name,
        t_s=np.concatenate([t_s for t_s, _ in series]),
        active=counts[:, 0],
        inactive=counts[:, 1],
    )
