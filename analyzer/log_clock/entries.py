"""The shift of the clocks by entries whose client ports are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.log_clock.counters import CONTRADICTED
from analyzer.log_clock.model import ClockMatch, is_zone, unmatched

if TYPE_CHECKING:
    from analyzer.log_clock.model import Appeared

_FEWEST_PORTS = 2
"""Two ports hardly agree by chance; one suffices if a time zone explains its shift."""

_SLACK = 2.0
_SLACK_SHARE = 0.02


def match_entries(appeared: Appeared, resolution_s: float) -> ClockMatch:
    """The shift on which most entries with known client ports agree."""
    low = appeared.after_s - appeared.packet_s
    high = appeared.by_s + resolution_s - appeared.packet_s
    known = np.isfinite(low)
    low, high = low[known], high[known]
    if not len(low):
        return unmatched("no entry of the log began in the capture")
    starts, ends = np.sort(low), np.sort(high)
    edges = np.unique(starts)
    agreeing = np.searchsorted(starts, edges, side="right") - np.searchsorted(ends, edges)
    most = int(agreeing.max())
    if most < (1 - CONTRADICTED) * len(low):
        return unmatched("the entries of the log and the packets of their ports agree on no shift")
    enough = max(most - max(_SLACK, _SLACK_SHARE * most), most / 2)
    low_s = float(edges[agreeing >= enough].min())
    finish = np.unique(ends)
    agreeing = np.searchsorted(starts, finish, side="right") - np.searchsorted(ends, finish)
    high_s = float(finish[agreeing >= enough].max())
    clear = most >= _FEWEST_PORTS or is_zone(low_s, high_s)
    return ClockMatch(
        low_s=low_s,
        high_s=high_s,
        explained=most,
        contradicted=len(low) - most,
        possible_s=((low_s, high_s),),
        clear=clear,
        why="" if clear else f"only {most} entry of the log began in the capture, too few",
    )
