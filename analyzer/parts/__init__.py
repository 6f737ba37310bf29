"""Long arrays in parts: whole flows together, so that what is made of them at a time is bounded.

What is computed for each flow by itself is computed part by part and put together in order: the
result is the same for any number of parts. What a run keeps for each packet are *columns*: arrays
that a ``Store`` keeps, in memory or, of a long capture, in mapped files
(``analyzer.recording.spill``).
"""

from analyzer.parts.cuts import (
    are_among,
    by_stretches,
    cuts,
    frames_of,
    over_stretches,
    rows_of_flows,
    same_flows,
    stretches,
    taken,
)
from analyzer.parts.store import (
    IN_MEMORY,
    PART_ROWS,
    Bucket,
    Buckets,
    Columns,
    ColumnWriter,
    Dealt,
    InMemory,
    Rows,
    Store,
    fill_here,
    filled,
    joined,
)

__all__ = [
    "IN_MEMORY",
    "PART_ROWS",
    "Bucket",
    "Buckets",
    "ColumnWriter",
    "Columns",
    "Dealt",
    "InMemory",
    "Rows",
    "Store",
    "are_among",
    "by_stretches",
    "cuts",
    "fill_here",
    "filled",
    "frames_of",
    "joined",
    "over_stretches",
    "rows_of_flows",
    "same_flows",
    "stretches",
    "taken",
]
