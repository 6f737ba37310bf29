"""What the clients saw of a fault: the gap, what was late, and which repeated SYN got through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed import ns
from analyzer.requests import LATE_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

_S = 1_000_000_000
NEVER = -1
PROMPT_NS = 200_000_000
"""A connect that took longer met trouble: the first repeated SYN comes after a second."""

_NEAR_S = 0.12  # of a whole second: a connect that waited for that repetition


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The requests as arrays, in the order in which they were begun; ``NEVER`` if not reached."""

    scheduled: Ints
    started: Ints
    connected: Ints
    first_byte: Ints
    failed: Bools

    @property
    def prompt(self) -> Bools:
        """Which connected at their first SYN."""
        took = self.connected - self.started
        prompt: Bools = (self.connected != NEVER) & (took < PROMPT_NS)
        return prompt

    @property
    def late(self) -> Bools:
        """Which were answered more than half a second after they were due."""
        late: Bools = (self.first_byte != NEVER) & (self.first_byte - self.scheduled > LATE_S * _S)
        return late

    def due(self, from_ns: int, to_ns: int) -> Bools:
        """Which were due in a span of time, its end left out."""
        return (self.scheduled >= from_ns) & (self.scheduled < to_ns)

    @property
    def completed(self) -> Ints:
        """When connects were completed, in order of time."""
        return np.sort(self.connected[self.connected != NEVER])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Two completed connects and nothing between; ``to_ns`` None if none came after the first."""

    from_ns: int
    to_ns: int | None
    length_s: float


def sent_of(requests: pd.DataFrame) -> Sent:
    """A recording's ``requests`` table."""
    begun = requests[requests["started"].notna()].sort_values("started")
    return Sent(
        scheduled=_instants(begun["scheduled"].fillna(begun["started"])),
        started=_instants(begun["started"]),
        connected=_instants(begun["connected"]),
        first_byte=_instants(begun["first_byte"]),
        failed=(begun["error"].notna() | begun["ended"].isna()).to_numpy(dtype=bool),
    )


def _instants(column: pd.Series) -> Ints:
    known = column.notna().to_numpy(dtype=bool)
    made = np.full(len(column), NEVER, dtype=np.int64)
    made[known] = ns(column[known])
    return made


def longest_gap(sent: Sent, from_ns: int, to_ns: int) -> Gap | None:
    """The longest between two completed connects that overlaps a span of time.

    A span in whose end nothing succeeded any more leaves a gap that goes on to ``to_ns``.

    Returns:
        None where nothing was completed before the span's end.
    """
    done = sent.completed
    inside = done[done < to_ns]
    if len(inside) == 0:
        return None
    ends = np.append(inside, done[done >= to_ns][:1])
    lengths = np.diff(ends)
    lengths[ends[1:] <= from_ns] = 0
    open_ns = to_ns - int(ends[-1]) if len(ends) == len(inside) else 0
    if len(lengths) == 0 or open_ns > lengths.max(initial=0):
        return Gap(from_ns=int(ends[-1]), to_ns=None, length_s=max(open_ns, 0) / _S)
    at = int(np.argmax(lengths))
    return Gap(from_ns=int(ends[at]), to_ns=int(ends[at + 1]), length_s=float(lengths[at]) / _S)


def interval_s(sent: Sent) -> float | None:
    """Between two requests that were due: what the gap is known to within."""
    if len(sent.scheduled) < 2:
        return None
    return float(np.median(np.diff(np.sort(sent.scheduled)))) / _S


def fault_between(sent: Sent, gap: Gap, ordered_ns: int | None) -> tuple[int, int]:
    """The fault came after the last success and before the first request that met it.

    Args:
        sent: the requests.
        gap: what they saw.
        ordered_ns: when the fault was ordered, if somebody did; it came no earlier.
    """
    met = sent.started[~sent.prompt & (sent.started >= gap.from_ns - PROMPT_NS)]
    latest_ns = gap.to_ns if gap.to_ns is not None else gap.from_ns
    until_ns = min(int(met.min()) if len(met) else latest_ns, latest_ns)
    from_ns = max(gap.from_ns, ordered_ns or 0)
    return (from_ns, max(from_ns, until_ns))


def went_on(sent: Sent, from_ns: int, to_ns: int) -> bool:
    """Whether connects that were begun within a span succeeded at once."""
    inside = (sent.started > from_ns) & (sent.started < to_ns)
    return bool((inside & sent.prompt).any())


def stood_still_s(sent: Sent, from_ns: int, to_ns: int) -> float:
    """How late the client itself was, at the worst, with beginning a request."""
    inside = sent.due(from_ns, to_ns)
    return float((sent.started - sent.scheduled)[inside].max(initial=0)) / _S


def syn_retries(sent: Sent, from_ns: int, to_ns: int) -> Mapping[str, int]:
    """Late connects by the repeated SYN that got through: seconds after the first SYN."""
    chosen = sent.due(from_ns, to_ns) & (sent.connected != NEVER) & ~sent.prompt
    took_s = (sent.connected - sent.started)[chosen] / _S
    whole = np.round(took_s).astype(np.int64)
    near = (np.abs(took_s - whole) < _NEAR_S) & (whole > 0)
    seconds, counts = np.unique(whole[near], return_counts=True)
    return {f"{second}": int(n) for second, n in zip(seconds, counts, strict=True)}
