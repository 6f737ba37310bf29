"""How well a shift of clocks fits the counters of a log and the packets of a capture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.arrays import Floats, Ints
    from analyzer.log_clock.model import Track

_SHORTEST_LIFE_S = 1.0
_LONGEST_ASSUMED_LIFE_S = 60.0
_SUBSTEPS = 4
_FINE_STEPS = 64
_LEAST_CORRELATION = 0.2
_MOST_WORK = 6_000_000  # polls and births, times shifts that are tried
_MOST_BINS = 1 << 22


@dataclass(frozen=True, slots=True)
class Score:
    """Number of entries that appear in both the log and the capture, and in only one."""

    explained: float
    contradicted: float

    @property
    def value(self) -> float:
        """Quality of the fit: greater is better."""
        return self.explained - self.contradicted


class ShiftSearch:
    """Search for the shifts of clocks that fit some tracks."""

    def __init__(
        self, tracks: Sequence[Track], covered_s: tuple[float, float], resolution_s: float
    ) -> None:
        self.tracks = tracks
        self.covered_s = covered_s
        self.resolution_s = resolution_s
        gaps_s = np.concatenate([np.diff(track.polled_s) for track in tracks])
        self.poll_s = float(np.median(gaps_s[gaps_s > 0]))
        self.step_s = max(self.poll_s, resolution_s, 1e-3) / _SUBSTEPS
        self.narrow_s = 3 * self.poll_s + 2 * resolution_s
        self.size = sum(len(track.polled_s) + len(track.began_s) for track in tracks)
        self.life_s = min(_shortest_life_s(track) for track in tracks)

    def search(self) -> list[tuple[float, Score]]:
        """Candidate shifts with their scores: coarse ones, and finer ones around the best."""
        coarse = self._coarse()
        scored = {float(shift_s): self.score(float(shift_s)) for shift_s in coarse}
        most = _MOST_WORK // (_FINE_STEPS // 2 * self.size)
        best = sorted(scored, key=lambda shift_s: -scored[shift_s].value)[: min(max(most, 3), 40)]
        fine_s = self.step_s * _SUBSTEPS / _FINE_STEPS
        for shift_s in best:
            for number in range(-_FINE_STEPS // _SUBSTEPS, _FINE_STEPS // _SUBSTEPS + 1):
                near_s = shift_s + number * fine_s
                if near_s not in scored:
                    scored[near_s] = self.score(near_s)
        return list(scored.items())

    def _coarse(self) -> Floats:
        """Shifts at which rises of the log meet births of the capture, by cross-correlation.

        Once weighted by how many rose and were born, and once by whether any did: a small burst
        that fits is not left out for a large one that would fit anywhere.
        """
        from scipy.fft import next_fast_len  # of logs beside captures alone

        first_s = min(float(track.polled_s[0]) for track in self.tracks)
        last_s = max(float(track.polled_s[-1]) for track in self.tracks)
        began_s = min(float(track.began_s[0]) for track in self.tracks)
        until_s = max(float(track.began_s[-1]) for track in self.tracks)
        span_s = (last_s - first_s) + (until_s - began_s)
        bin_s = max(self.poll_s, self.resolution_s, span_s / _MOST_BINS)
        size = next_fast_len(int(span_s / bin_s) + 4, real=True)  # a prime takes ten times as long
        by_number, by_presence = np.zeros(size), np.zeros(size)
        for track in self.tracks:
            rises = np.maximum(np.diff(track.held), 0)
            at = ((track.polled_s[1:] - first_s) / bin_s).astype(np.int64)
            log = np.bincount(at, weights=rises, minlength=size)
            births = np.bincount(
                ((track.began_s - began_s) / bin_s).astype(np.int64), minlength=size
            )
            by_number += _cross_correlation(log, births)
            by_presence += _cross_correlation(log > 0, births > 0)
        most = max(_MOST_WORK // (2 * _SUBSTEPS * self.size), 1)
        lags = np.concatenate([_best_lags(by_number, most), _best_lags(by_presence, most)])
        lags = np.where(lags > (last_s - first_s) / bin_s + 2, lags - size, lags)
        within = np.arange(_SUBSTEPS) / _SUBSTEPS * bin_s
        shifts = (first_s - began_s) + (lags * bin_s)[:, None] + within[None, :]
        return np.unique(shifts)

    def score(self, shift_s: float) -> Score:
        """How many entries a shift explains, and how many contradict it."""
        explained = contradicted = 0.0
        for track in self.tracks:
            more, against = self._score(track, shift_s)
            explained, contradicted = explained + more, contradicted + against
        return Score(explained, contradicted)

    def _score(self, track: Track, shift_s: float) -> tuple[float, float]:
        polled_s = track.polled_s - shift_s
        late_s = polled_s + self.resolution_s
        by_sure = np.searchsorted(track.began_s, polled_s, side="right")
        by_late = np.searchsorted(track.began_s, late_s, side="right")
        came = np.diff(track.came) if track.came is not None else np.diff(track.held)
        rises = np.maximum(came, 0)
        most = by_late[1:] - by_sure[:-1]
        covered = (late_s[1:] >= self.covered_s[0]) & (polled_s[:-1] <= self.covered_s[1])
        explained = float(np.minimum(rises, most)[covered].sum())
        unbacked = float(np.maximum(rises - most, 0)[covered].sum())
        if track.came is not None:
            fewest = np.maximum(by_sure[1:] - by_late[:-1], 0)
            return explained, unbacked + float(np.maximum(fewest - rises, 0)[covered].sum())
        return explained, unbacked + self._unseen(track, polled_s, late_s)

    def _unseen(self, track: Track, polled_s: Floats, late_s: Floats) -> float:
        """Connections that began between two polls although no rise or expiry leaves room for them.

        What is younger than the shortest life cannot have ended, so no more ended than were there
        so long before, and were seen to end until then. The polls are so many apart that the
        stamps' resolution leaves a time between them.
        """
        apart = 1 + int(2 * self.resolution_s / self.poll_s)
        if len(polled_s) <= apart:
            return 0.0
        since_s = np.maximum(late_s[:-apart], polled_s[apart:] - self.life_s)
        until_s = polled_s[apart:]
        began = np.searchsorted(track.began_s, until_s, side="right")
        began -= np.searchsorted(track.began_s, np.minimum(since_s, until_s), side="right")
        rose = track.held[apart:] - track.held[:-apart]
        before = np.searchsorted(polled_s, until_s - self.life_s + self.resolution_s, side="right")
        first, last = np.arange(len(until_s)), np.maximum(before - 1, 0)
        fallen = np.r_[0, np.cumsum(np.maximum(-np.diff(track.held), 0))]
        could_end = track.held[last] + np.maximum(fallen[last] - fallen[first], 0)
        return float(np.clip(began - rose - could_end, 0, began).sum()) / apart


def _cross_correlation(log: npt.NDArray[Any], births: npt.NDArray[Any]) -> Floats:
    """Circular cross-correlation by lag of the log, in bins."""
    spectrum = np.fft.rfft(log) * np.conj(np.fft.rfft(births))
    return np.asarray(np.fft.irfft(spectrum, len(log)), dtype=np.float64)


def _best_lags(correlation: Floats, most: int) -> Ints:
    """Lags whose correlation, or that of a neighbour, is not far below the best; best first."""
    wide = np.maximum.reduce([np.roll(correlation, by) for by in (-1, 0, 1)])
    lags = np.argsort(-wide, kind="stable")[:most]
    chosen: Ints = lags[wide[lags] > _LEAST_CORRELATION * wide.max()]
    return chosen


def _shortest_life_s(track: Track) -> float:
    """A cautious estimate of an entry's shortest lifetime.

    Half of the shortest time from a rise to the next fall: had an entry lasted less than that, a
    fall would have come sooner.
    """
    change = np.diff(track.held)
    rises, falls = track.polled_s[1:][change > 0], track.polled_s[:-1][change < 0]
    if not len(rises):
        return _SHORTEST_LIFE_S
    next_fall = np.searchsorted(falls, rises)
    ends_s = np.r_[falls, max(float(track.polled_s[-1]), float(rises[-1]))][next_fall]
    shortest_s = float((ends_s - rises).min()) / 2
    return min(max(shortest_s, _SHORTEST_LIFE_S), _LONGEST_ASSUMED_LIFE_S)
