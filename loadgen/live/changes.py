"""A watch without a terminal: a row when something in it has changed, and now and then if not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

IDLE_EVERY_S = 60.0
"""A row that does not change is repeated so often: it was looked at, and it is as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainRow:
    """A line of a view.

    Attributes:
        key: whose line it is.
        state: what makes it worth a line again; times that only count down are not in it.
    """

    key: Hashable
    state: Hashable
    text: str


class Changes:
    """Remembers what was printed, and when."""

    def __init__(self) -> None:
        self._printed: dict[Hashable, tuple[Hashable, int]] = {}

    def of(self, rows: Iterable[PlainRow], at_ns: int) -> list[str]:
        """The lines that are due; a row that was not in the last view begins anew."""
        before, self._printed = self._printed, {}
        due = []
        for row in rows:
            state, printed_ns = before.get(row.key, (None, 0))
            if state != row.state or at_ns - printed_ns >= IDLE_EVERY_S * NS_PER_S:
                due.append(row.text)
                printed_ns = at_ns
            self._printed[row.key] = (row.state, printed_ns)
        return due
