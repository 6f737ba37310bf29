"""Connections that a router masquerades on their way to the VIP, and that its capture has twice.

The router's capture has each under the client's address, as it comes, and under its own, as it
leaves; the director knows the second alone. Flags and sequence number stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    from analyzer.arrays import Ints
    from analyzer.wire.segments import Segments


def masqueraded(segments: Segments) -> Ints:
    """The flows that leave the same host under another address; shape (n,).

    Only those count that arrive at a MAC and never leave it, and of which the SYN leaves that MAC
    a moment later in a flow that never arrives there.
    """
    takers, senders = set[int](), set[int]()
    for part in segments.parts():
        syns_of_part = part.to_vip & (part.flag == Flag.SYN)
        takers |= set(np.unique(part.destination_mac[syns_of_part]).tolist())
        senders |= set(np.unique(part.source_mac[syns_of_part]).tolist())
    if not takers & senders - {NO_MAC}:
        return np.zeros(0, dtype=np.int64)
    is_syn = segments.to_vip & (segments.flag == Flag.SYN)
    syns = _syns(segments, np.flatnonzero(is_syn))
    arriving = syns[syns["destination_mac"] != NO_MAC].rename(columns={"destination_mac": "mac"})
    leaving = syns[syns["source_mac"] != NO_MAC].rename(columns={"source_mac": "mac"})
    columns = ["flow", "mac"]
    both = arriving[columns].merge(leaving[columns], on=columns)
    arriving, leaving = (_without(rows, both) for rows in (arriving, leaving))
    if arriving.empty or leaving.empty:
        return np.zeros(0, dtype=np.int64)
    matches = pd.merge_asof(
        leaving[["at_ns", "mac", "sequence", "vip", "client"]],
        arriving[["at_ns", "mac", "sequence", "vip", "client", "flow"]],
        on="at_ns",
        by=["mac", "sequence", "vip"],
        tolerance=SENT_ON_NS,
        suffixes=("", "_before"),
    ).dropna(subset="flow")
    matches = matches[matches["client"] != matches["client_before"]]
    return np.unique(matches["flow"].to_numpy(dtype=np.int64))


def _syns(segments: Segments, rows: Ints) -> pd.DataFrame:
    flows = segments.flows.iloc[segments.flow[rows]]
    syns = pd.DataFrame(
        {
            "at_ns": segments.at_ns[rows],
            "flow": segments.flow[rows],
            "sequence": np.asarray(segments.sequence[rows], dtype=np.int64),
            "source_mac": segments.source_mac[rows],
            "destination_mac": segments.destination_mac[rows],
            "client": flows["client_ip"].to_numpy(),
            "vip": pd.factorize(flows["vip"].astype("string") + flows["port"].astype("string"))[0],
        }
    )
    return syns.sort_values("at_ns", kind="stable", ignore_index=True)


def _without(rows: pd.DataFrame, both: pd.DataFrame) -> pd.DataFrame:
    """Rows whose flow and MAC are not among these."""
    kept = rows.merge(both.drop_duplicates(), on=["flow", "mac"], how="left", indicator=True)
    return kept[kept["_merge"] == "left_only"].drop(columns="_merge")
