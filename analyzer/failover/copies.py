"""The entries of a director that the sync daemon made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.addresses import CONNECTION_KEY

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.evidence.evidence import Evidence

_COPY = "SYNC"  # the origin in ip_vs_conn_sync
_TYPES = {"client_port": "int64", "port": "int64"}


def copies(evidence: Evidence, director: str, held: pd.DataFrame, at_ns: int) -> int | None:
    """The number of a director's entries at an instant that are copies.

    Without an origin in the entries the packets decide: none of the flow had been sent to this
    director, and some to another.

    Args:
        evidence: of the run.
        director: its name.
        held: its entries (``table_at.entries_at``).
        at_ns: Unix time.

    Returns:
        None where neither is known.
    """
    if held["origin"].notna().any():
        return int((held["origin"] == _COPY).sum())
    passed = {other.name: _flows(evidence, other.macs, at_ns) for other in evidence.directors}
    passed_here = passed.pop(director, None)
    others = [flows for flows in passed.values() if flows is not None]
    if (
        passed_here is None
        or evidence.segments is None
        or not any(map(len, (passed_here, *others)))
    ):
        return None
    numbers = np.setdiff1d(np.concatenate([*others, passed_here[:0]]), passed_here)
    flows = evidence.segments.flows[list(CONNECTION_KEY)].take(numbers).astype(_TYPES)
    return len(held[list(CONNECTION_KEY)].astype(_TYPES).merge(flows, on=list(CONNECTION_KEY)))


def _flows(evidence: Evidence, macs: frozenset[int], at_ns: int) -> npt.NDArray[np.int64] | None:
    """The flows with a packet sent to one of these MACs so far; None if not known."""
    segments = evidence.segments
    if segments is None or not macs:
        return None
    to_them = segments.to_vip & is_one_of(segments.destination_mac, list(macs))
    return np.unique(segments.flow[to_them & (segments.at_ns <= at_ns)])
