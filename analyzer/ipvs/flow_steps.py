"""The order in which a replay takes packets: the first of every flow, the second, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]

NO_ENTRY = -1
"""In place of an entry's number or state: a packet that belongs to none."""


def flow_steps(starts: Ints, size: int) -> Iterator[tuple[Ints, Ints]]:
    """The flows that have a first packet and its rows, then those that have a second, and so on.

    Args:
        starts: the row of each flow's first packet, ascending; shape (flows,).
        size: of all rows.

    Yields:
        For each step the numbers of the flows and their rows, both of shape (flows in it,).
    """
    lengths = np.diff(np.r_[starts, size])
    order = np.argsort(-lengths, kind="stable")
    first, longest = starts[order], int(lengths.max(initial=0))
    alive = np.searchsorted(-lengths[order], -np.arange(longest), side="left")
    for step, n in enumerate(alive):
        yield order[:n], first[:n] + step
