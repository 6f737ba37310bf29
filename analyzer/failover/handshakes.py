"""The times of handshakes by the packets, which a busy client notes later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.observed.entries import ns

if TYPE_CHECKING:
    from analyzer.wire.segments import Segments

_END = {"client_ip": "string", "client_port": "int64"}
"""The client's address and port of a connection."""

_EXACT = {"syn_ack_ns": "Int64", "asked_ns": "Int64"}
"""Nullable integers; a column of floats would lose nanoseconds."""


def by_the_wire(requests: pd.DataFrame, segments: Segments | None) -> pd.DataFrame:
    """The requests with the times of their handshakes in the capture.

    Args:
        requests: a recording's table.
        segments: of its capture; None without one.

    Returns:
        The requests with ``asked``, when the SYN left that was answered, and with ``connected`` as
        soon as its SYN-ACK came. Where the capture has none between a request's begin and its
        ``connected``, ``asked`` is null and ``connected`` as it was.
    """
    if segments is None or requests.empty:
        return requests.assign(asked=pd.Series(pd.NaT, requests.index, dtype=_AT))
    known = requests[requests["connected"].notna() & requests["source_port"].notna()]
    begun = pd.DataFrame(
        {
            "row": known.index,
            "client_ip": known["source_ip"],
            "client_port": known["source_port"],
            "at_ns": ns(known["started"]),
            "connected_ns": ns(known["connected"]),
        }
    )
    matched = pd.merge_asof(
        begun.astype(_END).sort_values("at_ns"),
        _answered(segments),
        on="at_ns",
        by=list(_END),
        direction="forward",
    ).set_index("row")
    matched = matched[matched["syn_ack_ns"] <= matched["connected_ns"]]
    asked, syn_ack = (
        pd.to_datetime(matched[name].astype("int64"), utc=True).astype(_AT).reindex(requests.index)
        for name in ("asked_ns", "syn_ack_ns")
    )
    return requests.assign(asked=asked, connected=syn_ack.fillna(requests["connected"]))


_AT = pd.DatetimeTZDtype("ns", "UTC")


def _answered(segments: Segments) -> pd.DataFrame:
    """Each SYN-ACK with the client's address and port, and when the last SYN before it left."""
    syns = np.flatnonzero(segments.flag == Flag.SYN)
    forth, flow, at_ns = (each[syns] for each in (segments.to_vip, segments.flow, segments.at_ns))
    last = np.maximum.accumulate(np.where(forth, np.arange(len(syns)), 0))
    answers = ~forth & forth[last] & (flow[last] == flow) if len(syns) else forth
    ends = segments.flows[list(_END)].take(flow[answers]).reset_index(drop=True)
    made = ends.assign(
        at_ns=at_ns[answers], syn_ack_ns=at_ns[answers], asked_ns=at_ns[last[answers]]
    )
    return made.astype(_END | _EXACT).sort_values("at_ns")
