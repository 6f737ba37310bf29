"""What the clients saw of a fault: the gap, late requests, retransmitted SYNs that succeeded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.client.outcomes import LATE_S
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from analyzer.arrays import Bools, Ints


NEVER = -1
PROMPT_NS = 200_000_000
"""A connect that took longer was disturbed: a SYN is first retransmitted after a second."""

UNDER_WAY_NS = 1_000_000_000
"""A failed request begun within this time before an instant is taken to have been under way."""

_NEAR_S = 0.12  # of a whole second: a connect that waited for that retransmission


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The requests as arrays, in the order of their begin; ``NEVER`` for what did not happen.

    Attributes:
        asked: when the SYN left that was answered, by the capture.
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
        """Which requests connected with their first SYN."""
        took = self.connected - self.started
        prompt: Bools = (self.connected != NEVER) & (took < PROMPT_NS)
        return prompt

    @property
    def late(self) -> Bools:
        """Which requests were answered more than half a second after they were due."""
        late: Bools = (self.first_byte != NEVER) & (
            self.first_byte - self.scheduled > LATE_S * NS_PER_S
        )
        return late

    def due(self, from_ns: int, to_ns: int) -> Bools:
        """Which requests were due in a span of time, excluding its end."""
        return (self.scheduled >= from_ns) & (self.scheduled < to_ns)

    def met(self, from_ns: int, to_ns: int) -> Bools:
        """Which requests were due in a span of time, or under way at its begin.

        When a request failed is not known; see ``UNDER_WAY_NS``.
        """
        fresh = (self.started <= from_ns) & (self.started > from_ns - UNDER_WAY_NS)
        under_way = np.where(self.ended == NEVER, fresh, self.ended > from_ns)
        met: Bools = self.due(from_ns, to_ns) | (under_way & (self.scheduled < from_ns))
        return met

    @property
    def through(self) -> Ints:
        """When the SYNs left that were answered, ascending.

        A director that answers within ``PROMPT_NS`` is up, if slow. Where the answer took
        longer, or the capture does not show which of several SYNs it was for, its own time counts.
        """
        asked = np.where(self.asked == NEVER, self.started, self.asked)
        through = np.where(self.connected - asked < PROMPT_NS, asked, self.connected)
        return np.sort(through[self.connected != NEVER])


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which no SYN was answered.

    Attributes:
        from_ns: ``unasked_s`` after the last answered SYN before it.
        to_ns: the first answered SYN after it; None without one.
        unasked_s: how late the client began the first request in it.
    """

    from_ns: int
    to_ns: int | None
    length_s: float
    unasked_s: float


def sent_of(requests: pd.DataFrame) -> Sent:
    """The requests of ``handshakes.by_the_wire`` as arrays."""
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
    """The longest gap between two answered SYNs that overlaps a span of time.

    The client's own lateness with the first request in a gap does not count. If no SYN was
    answered up to the span's end, the gap lasts to ``to_ns``.

    Returns:
        None if no SYN was answered before the span's end.
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
    continues = is_open and at == len(ends) - 1
    return Gap(
        from_ns=int(begins[at] + unasked[at]),
        to_ns=None if continues else int(ends[at]),
        length_s=float(lengths[at]) / NS_PER_S,
        unasked_s=float(unasked[at]) / NS_PER_S,
    )


def _unasked(sent: Sent, begins: Ints, ends: Ints) -> Ints:
    """How late the first request in each gap was begun, ns."""
    later = np.searchsorted(sent.started, begins, side="right")
    first = np.minimum(later, len(sent.started) - 1)
    due = np.clip(sent.scheduled[first], begins, ends)
    begun = np.clip(sent.started[first], due, ends)
    unasked: Ints = np.where(later < len(sent.started), begun - due, 0)
    return unasked


def interval_s(sent: Sent) -> float | None:
    """The interval of the requests, which is the resolution of a gap."""
    if len(sent.scheduled) < 2:
        return None
    return float(np.median(np.diff(np.sort(sent.scheduled)))) / NS_PER_S


def fault_between(sent: Sent, gap: Gap, ordered_ns: int | None) -> tuple[int, int]:
    """The span of the fault: from the last success to the first request that it affected.

    Args:
        sent: the requests.
        gap: in them.
        ordered_ns: when the fault was ordered; it came no earlier. None if none was ordered.
    """
    met = sent.started[~sent.prompt & (sent.started >= gap.from_ns - PROMPT_NS)]
    latest_ns = gap.to_ns if gap.to_ns is not None else gap.from_ns
    until_ns = min(int(met.min()) if len(met) else latest_ns, latest_ns)
    from_ns = max(gap.from_ns, ordered_ns or 0)
    return (from_ns, max(from_ns, until_ns))


def kept_connecting(sent: Sent, from_ns: int, to_ns: int) -> bool:
    """Whether most connects that were begun in a span succeeded at once.

    A single one proves nothing: it may have been delayed between its begin and its SYN.
    """
    inside = (sent.started > from_ns) & (sent.started < to_ns)
    return bool(inside.any()) and bool(sent.prompt[inside].mean() > 1 / 2)


def worst_client_delay_s(sent: Sent, from_ns: int, to_ns: int) -> float:
    """The client's largest delay in beginning a request."""
    inside = sent.due(from_ns, to_ns)
    return float((sent.started - sent.scheduled)[inside].max(initial=0)) / NS_PER_S


def syn_retries(sent: Sent, from_ns: int, to_ns: int) -> Mapping[str, int]:
    """Number of late connects by the time of the SYN that was answered, s after the first SYN."""
    chosen = sent.due(from_ns, to_ns) & (sent.connected != NEVER) & ~sent.prompt
    took_s = (sent.connected - sent.started)[chosen] / NS_PER_S
    whole = np.round(took_s).astype(np.int64)
    near = (np.abs(took_s - whole) < _NEAR_S) & (whole > 0)
    seconds, counts = np.unique(whole[near], return_counts=True)
    return {f"{second}": int(n) for second, n in zip(seconds, counts, strict=True)}
