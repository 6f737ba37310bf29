"""Tables cut into parts that a store keeps, as those of long runs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.observed.parted import Kept, Parted
from analyzer.parts import IN_MEMORY

if TYPE_CHECKING:
    import pandas as pd


def cut(frame: pd.DataFrame, parts: int) -> Parted:
    """A table in so many parts, the last of which may be empty; in one, in memory."""
    if parts == 1:
        return Parted.of(frame)
    kept, rows = Kept(IN_MEMORY), -(-len(frame) // parts)
    for number in range(parts):
        kept.append(frame.iloc[number * rows : (number + 1) * rows])
    return kept.finish()
