"""A director's polls of entries: when each was, when it had its answer, and what it could miss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.table_diff.reads import WHOLE_READ_LINES
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_NO_CHANCE = 3  # so many stamps of whole seconds are not whole by chance


@dataclass(frozen=True, slots=True)
class EntryPolls:
    """A director's polls of entries, ascending.

    Attributes:
        at_ns, by_ns: when each began and when it had its answer.
        is_whole: it read the table under one lock, so that it missed no entry.
    """

    at_ns: Ints
    by_ns: Ints
    is_whole: npt.NDArray[np.bool_]

    def answered(self, at_ns: Ints) -> Ints:
        """When the polls of these instants had their answers; the instants where none was."""
        if not len(self.at_ns):
            return at_ns
        here = np.minimum(np.searchsorted(self.at_ns, at_ns), len(self.at_ns) - 1)
        return np.where(self.at_ns[here] == at_ns, np.maximum(self.by_ns[here], at_ns), at_ns)

    def before(self, at_ns: Ints) -> Ints:
        """The number of the last poll before that would have shown an entry; -1 if none.

        A torn read may have missed it (``ipvs.table_diff``), so the one before that read counts.
        """
        last = np.searchsorted(self.at_ns, at_ns) - 1
        if not len(self.at_ns):
            return last
        return np.where(self.is_whole[np.maximum(last, 0)], last, np.maximum(last - 1, -1))


def polls_in_order(at_ns: Ints, asked_ns: Ints, took_ms: Floats, lines: Ints) -> EntryPolls:
    """A director's polls of entries, in order of time.

    Stamps of whole seconds, as ``date +%s`` leaves them in a log, are rounded down: such a poll,
    of which nobody noted how long it took, was up to a second later.

    Args:
        at_ns: when each began.
        asked_ns: when it was asked.
        took_ms: until its answer; NaN where nobody noted it.
        lines: how many entries it had.
    """
    answered_ns = asked_ns + np.rint(np.nan_to_num(took_ms) * 1e6).astype(np.int64)
    is_bare = len(at_ns) >= _NO_CHANCE and bool((answered_ns == at_ns).all())
    if is_bare and not (at_ns % NS_PER_S).any():
        answered_ns = answered_ns + NS_PER_S
    order = np.argsort(at_ns, kind="stable")
    return EntryPolls(at_ns[order], answered_ns[order], lines[order] <= WHOLE_READ_LINES)
