"""The state of every connection, a column for each thing that is known of it.

A connection has a slot from its SYN until nothing of it can come any more. ``slot_of`` finds it by
its pair of address and port (``ports.Pairs``).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from loadgen.load.engines.rows import NONE, WIDTH

Ints = npt.NDArray[np.int64]
UInt8s = npt.NDArray[np.uint8]
UInt32s = npt.NDArray[np.uint32]
Bools = npt.NDArray[np.bool_]

FAR = 1 << 62
"""An instant that does not come."""

NEVER_OURS, GONE, LEFT = 0, -1, -2
"""Of ``slot_of``: a pair that this run has not used, one whose connection is over, and one whose
connection was left: nothing that comes for it is answered."""

_COLUMNS: dict[str, type[np.generic]] = {
    "line": np.int64,  # its script and its state (``table.Table``)
    "pair": np.int64,
    "nxt": np.uint32,  # the next byte that we send
    "rcv": np.uint32,  # the next that we await
    "begin": np.uint32,  # the first byte of the answer
    "ends": np.uint32,  # the first behind the answer, if ``framing`` is known
    "framing": np.uint8,  # whether it is known where the answer ends: UNFRAMED, SIZED, BY_FIN
    "head": np.int64,  # bytes of the answer that are no body
    "unacked": np.int64,  # the segment that is to be sent again
    "rto": np.int64,  # ns; doubled with each time that a segment goes again
    "calm_rto": np.int64,  # what it is for a segment that goes for the first time
    "resend": np.int64,  # when
    "limit": np.int64,  # when the time of its state is up
    "noted": np.bool_,  # its row has been sent on
}
UNFRAMED, SIZED, BY_FIN = 0, 1, 2


class Connections:
    """Columns of one length; slots are taken and given back, and the columns grow.

    Args:
        sources: how many addresses of ours.
        slots: to begin with.

    Attributes:
        rows: the rows to be recorded, ``Row``, as far as they are known; shape (slots, WIDTH).
        row: the columns of ``rows``: to index a vector costs a tenth of a matrix.
        slot_of: slot + 1 by pair.
        used: slots from here on have never been taken.
        left: connections that were left.
    """

    line: Ints
    pair: Ints
    nxt: UInt32s
    rcv: UInt32s
    begin: UInt32s
    ends: UInt32s
    framing: UInt8s
    head: Ints
    unacked: Ints
    rto: Ints
    calm_rto: Ints
    resend: Ints
    limit: Ints
    noted: npt.NDArray[np.bool_]

    def __init__(self, sources: int, slots: int = 1024) -> None:
        for name, kind in _COLUMNS.items():
            setattr(self, name, np.zeros(slots, kind))
        self.rows = np.full((slots, WIDTH), NONE, np.int64)
        self.row = list(self.rows.T)
        self.slot_of = np.zeros(sources * 65536, np.int32)
        self.used = self.left = 0
        self._free = np.empty(slots, np.int64)
        self._free_count = 0
        self._order = np.zeros(slots, np.int64)

    def __len__(self) -> int:
        return self.used - self._free_count

    def take(self, pairs: Ints) -> Ints:
        """A slot for each pair; its columns and its row are the caller's to fill."""
        again = min(len(pairs), self._free_count)
        self._free_count -= again
        slots = np.empty(len(pairs), np.int64)
        slots[:again] = self._free[self._free_count : self._free_count + again]
        new = len(pairs) - again
        while self.used + new > len(self.line):
            self._grow()
        slots[again:] = np.arange(self.used, self.used + new)
        self.used += new
        self.pair[slots] = pairs
        self.slot_of[pairs] = slots + 1
        return slots

    def give_back(self, slots: Ints, is_left: Bools) -> None:
        """Nothing that comes of these connections changes them."""
        self.resend[slots] = self.limit[slots] = FAR
        self.slot_of[self.pair[slots]] = np.where(is_left, LEFT, GONE)
        self.left += int(np.count_nonzero(is_left))
        self._free[self._free_count : self._free_count + len(slots)] = slots
        self._free_count += len(slots)

    def first_of_each(self, slots: Ints) -> npt.NDArray[np.bool_]:
        """Which elements are the first of their value."""
        places = np.arange(len(slots))
        self._order[slots[::-1]] = places[::-1]
        return np.asarray(self._order[slots] == places)

    def due(self, now_ns: int) -> Ints:
        """Slots for which it is time to send again, or whose state has lasted long enough."""
        resend, limit = self.resend[: self.used], self.limit[: self.used]
        return ((resend <= now_ns) | (limit <= now_ns)).nonzero()[0]

    def _grow(self) -> None:
        for name in (*_COLUMNS, "rows", "_free", "_order"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.empty_like(column)]))
        self.row = list(self.rows.T)
        self.resend[self.used :] = self.limit[self.used :] = FAR
        self.line[self.used :] = 0
