"""Connections that a finding is about: counted part by part, a few of them kept as examples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import distinct
from analyzer.parts import cuts, same_flows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from analyzer.arrays import Ints
    from analyzer.parts import Store

SHOWN = 3
_NOTHING = np.zeros(0, dtype=np.int64)
_LEAST, _MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """Rows that are alike: how many, of how many flows, and when.

    Attributes:
        rows: how many.
        flows: of how many flows.
        first: the first flows, at most ``SHOWN``.
        span_ns: the first and the last instant; None where none is known.
    """

    rows: int = 0
    flows: int = 0
    first: tuple[int, ...] = ()
    span_ns: tuple[int, int] | None = None

    def with_rows(self, flow: npt.ArrayLike, at_ns: npt.ArrayLike = ()) -> Examples:
        """These and some more, whose flows were not counted before.

        Args:
            flow: of each row, in any order.
            at_ns: Unix nanoseconds, in any order.
        """
        numbers = np.asarray(flow, dtype=np.int64)
        _, place = np.unique(numbers, return_index=True)
        instants = np.asarray(at_ns, dtype=np.int64)
        edges = [*(self.span_ns or ())]
        if len(instants):
            edges += [int(instants.min()), int(instants.max())]
        first = (*self.first, *numbers[np.sort(place)[:SHOWN]].tolist())
        return Examples(
            rows=self.rows + len(numbers),
            flows=self.flows + len(place),
            first=first[:SHOWN],
            span_ns=(min(edges), max(edges)) if edges else None,
        )


@dataclass(frozen=True, slots=True)
class FlowSet:
    """Flows that are in any of some columns; these may be longer than memory.

    Attributes:
        columns: flows, ascending in each, perhaps several times.
        store: keeps them.
    """

    columns: Sequence[Ints]
    store: Store

    def __bool__(self) -> bool:
        return any(len(column) for column in self.columns)

    def parts(self) -> Iterator[Ints]:
        """Each flow once, ascending, some at a time."""
        longest = max(self.columns, key=len, default=_NOTHING)
        starts = (rows.start for rows in cuts(longest, self.store.part_rows)[1:])
        bounds = [_LEAST, *(int(longest[start]) for start in starts), _MOST]
        for first, until in pairwise(bounds):
            yield self._between(first, until)
            self.store.release()

    def _between(self, first: int, until: int) -> Ints:
        found = [
            column[slice(*np.searchsorted(column, [first, until]).tolist())]
            for column in self.columns
        ]
        return distinct(np.concatenate([_NOTHING, *found]))

    def among(self, flow: Ints) -> npt.NDArray[np.bool_]:
        """Which rows of a part, with these flows, ascending, are of one of them."""
        near = [column[same_flows(flow, column)] for column in self.columns]
        return np.isin(flow, np.concatenate([_NOTHING, *near]))

    def examples(self) -> Examples:
        """How many, and the first of them."""
        found = Examples()
        for flows in self.parts():
            found = found.with_rows(flows)
        return found
