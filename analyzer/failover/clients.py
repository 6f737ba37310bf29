"""What the clients saw of a fault: the gap, what was late, and which repeated SYN got through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.client.requests import LATE_S
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    import pandas as pd

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

NEVER = -1
PROMPT_NS = 200_000_000
"""A connect that took longer met trouble: the first repeated SYN comes after a second."""

UNDER_WAY_NS = 1_000_000_000
"""A request that failed, begun so shortly before an instant, is taken to have been under way."""

_NEAR_S = 0.12  # of a whole second: a connect that waited for that repetition


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The requests as arrays, in the order in which they were begun; ``NEVER`` if not reached.

    Attributes:
        asked: when the SYN left that was answered, where a capture tells.
    """

    scheduled: Ints
    started: Ints
    asked: Ints
    connected: Ints
    first_byte: Ints
    ended: Ints
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
        late: Bools = (self.first_byte != NEVER) & (
            self.first_byte - self.scheduled > LATE_S * NS_PER_S
        )
        return late

    def due(self, from_ns: int, to_ns: int) -> Bools:
        """Which were due in a span of time, its end left out."""
        return (self.scheduled >= from_ns) & (self.scheduled < to_ns)

    def met(self, from_ns: int, to_ns: int) -> Bools:
        """Which were due in a span of time, or under way at its begin.

        When a request failed is not known: one begun within ``UNDER_WAY_NS`` may just have.
        """
        fresh = (self.started <= from_ns) & (self.started > from_ns - UNDER_WAY_NS)
        under_way = np.where(self.ended == NEVER, fresh, self.ended > from_ns)
        met: Bools = self.due(from_ns, to_ns) | (under_way & (self.scheduled < from_ns))
        return met

    @property
    def through(self) -> Ints:
        """When the SYNs left that got through, in order of time.

        A director that answers within ``PROMPT_NS`` is there, if slow. Where the answer took
        longer, or the capture does not tell which of several SYNs it was for, its own time counts.
        """
        asked = np.where(self.asked == NEVER, self.started, self.asked)
        through = np.where(self.connected - asked < PROMPT_NS, asked, self.connected)
        return np.sort(through[self.connected != NEVER])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """No SYN of this time got through.

    Attributes:
        from_ns: the last before it that did, and ``unasked_s`` later.
        to_ns: the first after it that did; None if none.
        unasked_s: so late the client was with the first request in it.
    """

    from_ns: int
    to_ns: int | None
    length_s: float
    unasked_s: float


def sent_of(requests: pd.DataFrame) -> Sent:
    """The requests, as ``handshakes.by_the_wire`` gives them."""
    begun = requests[requests["started"].notna()].sort_values(["started", "scheduled"])
    return Sent(
        scheduled=_instants(begun["scheduled"].fillna(begun["started"])),
        started=_instants(begun["started"]),
        asked=_instants(begun["asked"]),
        connected=_instants(begun["connected"]),
        first_byte=_instants(begun["first_byte"]),
        ended=_instants(begun["ended"]),
        failed=(begun["error"].notna() | begun["ended"].isna()).to_numpy(dtype=bool),
    )


def _instants(column: pd.Series) -> Ints:
    known = column.notna().to_numpy(dtype=bool)
    made = np.full(len(column), NEVER, dtype=np.int64)
    made[known] = ns(column[known])
    return made


def longest_gap(sent: Sent, from_ns: int, to_ns: int) -> Gap | None:
    """The longest between two SYNs that got through that overlaps a span of time.

    What the client itself was late with the first request in a gap does not count: as long as
    nobody asked, nobody was refused. A span in whose end nothing succeeded any more leaves a gap
    that goes on to ``to_ns``.

    Returns:
        None where nothing got through before the span's end.
    """
    done = sent.through
    inside = done[done < to_ns]
    if len(inside) == 0:
        return None
    begins = inside
    ends = np.append(inside[1:], done[done >= to_ns][:1])
    is_open = len(ends) < len(begins)
    ends = np.append(ends, to_ns) if is_open else ends
    unasked = _unasked(sent, begins, ends)
    lengths = np.where(ends > from_ns, ends - begins - unasked, 0)
    at = int(np.argmax(lengths))
    goes_on = is_open and at == len(ends) - 1
    return Gap(
        from_ns=int(begins[at] + unasked[at]),
        to_ns=None if goes_on else int(ends[at]),
        length_s=float(lengths[at]) / NS_PER_S,
        unasked_s=float(unasked[at]) / NS_PER_S,
    )


def _unasked(sent: Sent, begins: Ints, ends: Ints) -> Ints:
    """Of each gap: from when the first request begun in it was due until it was begun."""
    later = np.searchsorted(sent.started, begins, side="right")
    first = np.minimum(later, len(sent.started) - 1)
    due = np.clip(sent.scheduled[first], begins, ends)
    begun = np.clip(sent.started[first], due, ends)
    unasked: Ints = np.where(later < len(sent.started), begun - due, 0)
    return unasked


def interval_s(sent: Sent) -> float | None:
    """Between two requests that were due: what the gap is known to within."""
    if len(sent.scheduled) < 2:
        return None
    return float(np.median(np.diff(np.sort(sent.scheduled)))) / NS_PER_S


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
    """Whether most connects that were begun within a span succeeded at once.

    One of them proves nothing: it may have been held up between its begin and its SYN.
    """
    inside = (sent.started > from_ns) & (sent.started < to_ns)
    return bool(inside.any()) and bool(sent.prompt[inside].mean() > 1 / 2)


def stood_still_s(sent: Sent, from_ns: int, to_ns: int) -> float:
    """How late the client itself was, at the worst, with beginning a request."""
    inside = sent.due(from_ns, to_ns)
    return float((sent.started - sent.scheduled)[inside].max(initial=0)) / NS_PER_S


def syn_retries(sent: Sent, from_ns: int, to_ns: int) -> Mapping[str, int]:
    """Late connects by the repeated SYN that got through: seconds after the first SYN."""
    chosen = sent.due(from_ns, to_ns) & (sent.connected != NEVER) & ~sent.prompt
    took_s = (sent.connected - sent.started)[chosen] / NS_PER_S
    whole = np.round(took_s).astype(np.int64)
    near = (np.abs(took_s - whole) < _NEAR_S) & (whole > 0)
    seconds, counts = np.unique(whole[near], return_counts=True)
    return {f"{second}": int(n) for second, n in zip(seconds, counts, strict=True)}
