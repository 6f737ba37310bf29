"""Which entries of a director the sync daemon made: those whose packets passed another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.segments import FLOW_COLUMNS

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from analyzer.compared.evidence import Evidence

_COPY = "SYNC"  # ip_vs_conn_sync, which says it itself
_TYPES = {"client_port": "int64", "port": "int64"}


def copies(evidence: Evidence, director: str, held: pd.DataFrame, at_ns: int) -> int | None:
    """How many of a director's entries at an instant are copies.

    Where the entries do not say it themselves, the packets do: none of the flow had been sent to
    this director, and some to another.

    Args:
        evidence: of the run.
        director: its name.
        held: its entries (``table_at.entries_at``).
        at_ns: Unix time.

    Returns:
        None where neither tells.
    """
    if held["origin"].notna().any():
        return int((held["origin"] == _COPY).sum())
    passed = {one.name: _flows(evidence, one.macs, at_ns) for one in evidence.directors}
    own = passed.pop(director, None)
    others = [flows for flows in passed.values() if flows is not None]
    if own is None or evidence.segments is None or not any(map(len, (own, *others))):
        return None
    numbers = np.setdiff1d(np.concatenate([*others, own[:0]]), own)
    flows = evidence.segments.flows[list(FLOW_COLUMNS)].take(numbers).astype(_TYPES)
    return len(held[list(FLOW_COLUMNS)].astype(_TYPES).merge(flows, on=list(FLOW_COLUMNS)))


def _flows(evidence: Evidence, macs: frozenset[int], at_ns: int) -> npt.NDArray[np.int64] | None:
    """The flows of which a packet had been sent to one of these MACs; None if not known."""
    segments = evidence.segments
    if segments is None or not macs:
        return None
    to_them = segments.to_vip & np.isin(segments.destination_mac, list(macs))
    found: npt.NDArray[np.int64] = np.unique(segments.flow[to_them & (segments.at_ns <= at_ns)])
    return found
