"""When the timers of entries end, by all polls of them: each narrows what the others leave open.

The expire column is printed in whole seconds, so that one poll leaves a second open; where a step
of the timer wheel lies in that second and where not changes from poll to poll, and with it how
closely one poll alone could say when the entry goes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.drains.last_entry import PRINTED_S
from analyzer.recording.spans import SLACK_S
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.table_diff.tracking import Numbers

_LONGEST_S = 1_000_000_000  # of what a director prints; an instant so far ahead fits int64
_MIX = 0x9E3779B97F4A7C15
"""2^64 by the golden ratio: what Fibonacci hashing multiplies by."""

_TIMER = (
    *("client_ip_high", "client_ip_low", "client_port", "vip_high", "vip_low", "port"),
    *("real_server_high", "real_server_low", "real_port", "ipv6"),
)


def mixed(rows: Rows, names: tuple[str, ...], *, with_state: bool) -> NDArray[np.uint64]:
    """A number for each row, the same where these columns, the protocol and the state are."""
    words = [rows[name].astype(np.uint64) for name in names]
    words.append(np.ascontiguousarray(rows["protocol"]).view("u8"))
    if with_state:
        state = np.ascontiguousarray(rows["state"])
        size = state.itemsize // 8
        words += [state.view("u8").reshape(len(rows), size)[:, i] for i in range(size)]
    hashes = np.zeros(len(rows), np.uint64)
    for word in words:
        hashes = (hashes ^ word) * np.uint64(_MIX)
        hashes ^= hashes >> np.uint64(29)
    return hashes


@dataclass(frozen=True, slots=True)
class TimerEnds:
    """Of some rows: between which instants their timers end, Unix ns, and the most they had left.

    Every array has shape (n,).
    """

    low_ns: Numbers
    high_ns: Numbers
    most_left_s: Numbers


class TimersSeen:
    """The timers of the entries that the last poll had."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.uint64)
        self._ends = TimerEnds(*(np.empty(0, np.int64) for _ in range(3)))

    def see(self, rows: Rows, seen_ns: Numbers) -> TimerEnds:
        """Take a poll of all entries; what is known of each now.

        A timer that one poll alone says ends at another time was restarted.
        """
        left_s = np.clip(rows["expires_s"], 0, _LONGEST_S)
        low_ns, high_ns = (
            seen_ns + left_s * NS_PER_S,
            seen_ns + left_s * NS_PER_S + round(PRINTED_S * NS_PER_S),
        )
        low_ns[left_s == 0] = np.iinfo(np.int64).min  # it is late, by a granule at the most
        most_s = left_s.copy()
        keys = mixed(rows, _TIMER, with_state=True)
        places, known = self._places(keys)
        old = self._ends
        both_low = np.maximum(low_ns[known], old.low_ns[places])
        both_high = np.minimum(high_ns[known], old.high_ns[places])
        agrees = both_low <= both_high + round(SLACK_S * NS_PER_S)
        at = np.flatnonzero(known)[agrees]
        low_ns[at] = np.minimum(both_low, both_high)[agrees]
        high_ns[at] = np.maximum(both_low, both_high)[agrees]
        most_s[at] = np.maximum(most_s[at], old.most_left_s[places][agrees])
        order = np.argsort(keys, kind="stable")
        self._keys = keys[order]
        self._ends = TimerEnds(low_ns[order], high_ns[order], most_s[order])
        return TimerEnds(low_ns, high_ns, most_s)

    def of(self, rows: Rows) -> TimerEnds | None:
        """What is known of some of the entries; None if one of them was not there to be seen."""
        places, known = self._places(mixed(rows, _TIMER, with_state=True))
        if not known.all():
            return None
        ends = self._ends
        return TimerEnds(ends.low_ns[places], ends.high_ns[places], ends.most_left_s[places])

    def _places(self, keys: NDArray[np.uint64]) -> tuple[Numbers, NDArray[np.bool_]]:
        """Where those that are known stand, and which are."""
        places = np.searchsorted(self._keys, keys)
        known = places < len(self._keys)
        known[known] = self._keys[places[known]] == keys[known]
        return places[known], known
