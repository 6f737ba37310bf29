"""Two long tables in order of flows, brought together part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analyzer.parts import cuts

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyzer.arrays import Ints
    from analyzer.observed.parted import Parted
    from analyzer.parts import Store


class Beside(NamedTuple):
    """Some rows of the one table, and which rows of the other have the same flows.

    Attributes:
        frame: of the one; may be empty.
        rows: of the other; may be empty.
    """

    frame: pd.DataFrame
    rows: slice


def beside(table: Parted, flow: Ints, store: Store) -> Iterator[Beside]:
    """Each row of both tables once, those of the same flow together; at least one pair.

    Args:
        table: with ``flow``, ascending.
        flow: of each row of the other table, ascending; shape (n,).
        store: keeps that one.
    """
    first, frame = 0, None
    for frame in table:
        until = first
        if len(frame):
            until = int(np.searchsorted(flow, frame["flow"].iloc[-1], side="right"))
        yield from _cut(frame, flow, slice(first, until), store)
        first = until
    if frame is not None and first < len(flow):
        yield from _cut(frame.iloc[:0], flow, slice(first, len(flow)), store)


def _cut(frame: pd.DataFrame, flow: Ints, rows: slice, store: Store) -> Iterator[Beside]:
    """The pair in several, where the other table has many rows beside few."""
    of_frame, at = frame["flow"].to_numpy(), 0
    parts = cuts(flow[rows], store.part_rows) or [slice(0, 0)]
    for number, part in enumerate(parts):
        found = slice(rows.start + part.start, rows.start + part.stop)
        is_last = number == len(parts) - 1
        until = len(of_frame)
        if not is_last:
            until = int(np.searchsorted(of_frame, flow[found.stop - 1], side="right"))
        whole = len(parts) == 1
        yield Beside(frame if whole else frame.iloc[at:until], found)
        at = until
        store.release()
