"""TCP's window scale option (RFC 7323), of many segments at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.windows import CUT_OFF, NO_OPTIONS, NO_SCALE

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.arrays import Ints
    from analyzer.wire.capture.frames import Frames

    Int8s = npt.NDArray[np.int8]

LARGEST_SCALE = 14
SYN = 0x02
"""TCP's flag."""

_HEADER = 20
_END, _FILLER, _SCALE = 0, 1, 3
_SCALE_BYTES = 3
_MOST_OPTIONS = 40


def window_scales(
    frames: Frames, rows: Ints, transport: Ints, is_syn: npt.NDArray[np.bool_]
) -> Int8s:
    """By how many bits each SYN's sender will scale its windows; 0 to 14, or one of the above.

    Read as netfilter does (``tcp_options``): a later option overrides an earlier one, and what
    follows an option that cannot be is not read.

    Args:
        frames: of the capture.
        rows: the frames of these segments and datagrams.
        transport: where their headers begin in the file.
        is_syn: which are segments with SYN.
    """
    file = frames.file
    scales = np.full(len(rows), CUT_OFF, dtype=np.int8)
    syns = np.flatnonzero(is_syn)
    if not len(syns):
        return scales
    at = transport[syns] + _HEADER
    ends = transport[syns] + 4 * (file.numbers(transport[syns] + 12, 1) >> 4)
    whole = frames.holds_at(rows[syns], ends)
    scales[syns] = np.where(whole, np.where(ends > at, NO_SCALE, NO_OPTIONS), CUT_OFF)
    going = np.flatnonzero(whole & (ends > at))
    for _ in range(_MOST_OPTIONS):
        kind, left = file.numbers(at[going], 1), ends[going] - at[going]
        size = np.where(kind == _FILLER, 1, file.numbers(at[going] + 1, 1))
        good = (kind == _FILLER) | ((kind != _END) & (left >= 2) & (size >= 2) & (size <= left))
        found = going[good & (kind == _SCALE) & (size == _SCALE_BYTES)]
        scales[syns[found]] = np.minimum(file.numbers(at[found] + 2, 1), LARGEST_SCALE)
        at[going[good]] += size[good]
        going = going[good]
        going = going[at[going] < ends[going]]
        if not len(going):
            break
    return scales
