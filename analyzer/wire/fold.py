"""Connections of captures larger than memory: a fold over chunks.

What is held at a time is one chunk's packets, and a row for each connection so far. A whole
analysis replays every packet and so needs all of a service's packets at once (``packets``).
"""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.wire.capture.files import CHUNK_BYTES
from analyzer.wire.connections import Parts, combine, parts_of, table
from analyzer.wire.packets import packet_chunks
from analyzer.wire.segments import (
    FLOW_COLUMNS,
    Sides,
    service_segments,
    sides,
    without_copies,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from analyzer.wire.segments import Segments, VirtualEnd

    _Gathered = tuple[Parts, pd.DataFrame]

_TOGETHER = 8
"""So many chunks' rows are put together at once: it costs as much as the rows there are so far."""


def fold_connections(
    captures: Sequence[memoryview],
    ends: Collection[VirtualEnd],
    macs: Collection[int] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The connections of virtual services, and their flows, in bounded memory.

    Args:
        captures: the capture files, mapped, in order of time.
        ends: the virtual services.
        macs: the directors'; as the packets show them (a first pass over all) unless told.
        chunk_bytes: of a file's bytes so many are held decoded.

    Returns:
        As ``connections.table``, and the flows that its ``flow`` numbers, as ``Segments.flows``;
        flows are numbered as they appear.

    Raises:
        ParseError: neither pcap nor pcapng.
    """
    seen = reduce(or_, map(sides, _segments(captures, ends, chunk_bytes)), Sides())
    mine = seen.forwarders() if macs is None else frozenset(macs)
    gathered: list[_Gathered] = []
    for segments in _segments(captures, ends, chunk_bytes):
        arrives = bool(seen.takers & mine)
        once = segments.only(without_copies(segments, mine, arrives=arrives))
        gathered.append((parts_of(once), segments.flows))
        if len(gathered) > _TOGETHER:
            gathered = [_together(gathered)]
    parts, flows = _together(gathered)
    return table(parts), flows


def _segments(
    captures: Sequence[memoryview], ends: Collection[VirtualEnd], chunk_bytes: int
) -> Iterator[Segments]:
    for packets in packet_chunks(captures, chunk_bytes):
        yield service_segments(packets, ends)


def _together(gathered: list[_Gathered]) -> _Gathered:
    """One set of rows and flows for several, which number their flows each in its own way."""
    flows = pd.concat([flows for _, flows in gathered], ignore_index=True)
    numbered_as = flows.groupby(list(FLOW_COLUMNS), sort=False).ngroup()
    numbers = np.asarray(numbered_as, dtype=np.int64)
    distinct = flows[~flows.duplicated()].reset_index(drop=True)
    begin, numbered = 0, []
    for parts, own in gathered:
        numbered.append(parts.renumbered(numbers[begin : begin + len(own)]))
        begin += len(own)
    return combine(numbered), distinct
