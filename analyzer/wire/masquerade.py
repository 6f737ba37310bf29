"""Connections that a router masquerades on their way to the VIP, and that its capture has twice.

The router's capture has each under the client's address, as it comes, and under its own, as it
leaves; the director knows the second alone. Flags and sequence number stay as they are.
"""

from __future__ import annotations

from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.parts import Dealt
from analyzer.parts.columns import Numbering, alike, buckets_of
from analyzer.wire.packets import NO_MAC
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Bools, Ints
    from analyzer.parts import Columns
    from analyzer.wire.segments import Segments

_SAME = ["mac", "sequence", "vip", "port"]
"""What a SYN has in common before and after its router."""

_NOTHING = np.zeros(0, dtype=np.int64)


def masqueraded(segments: Segments) -> Ints:
    """The flows that leave the same host under another address, ascending; shape (n,).

    Only those count that arrive at a MAC and never leave it, and of which the SYN leaves that MAC
    a moment later in a flow that never arrives there.
    """
    takers, senders = set[int](), set[int]()
    for part in segments.parts():
        syns = part.to_vip & (part.flag == Flag.SYN)
        takers |= set(np.unique(part.destination_mac[syns]).tolist())
        senders |= set(np.unique(part.source_mac[syns]).tolist())
    if not takers & senders - {NO_MAC}:
        return _NOTHING
    store = segments.store
    count = -(-len(segments.flow) // max(store.part_rows, 1))
    buckets = store.keep(count, map(_dealt, _one_way(segments), repeat(count)))
    found = [_sent_on(buckets.bucket(number).read()) for number in range(count)]
    return np.unique(np.concatenate(found))


def _dealt(syns: Columns, count: int) -> Dealt:
    return Dealt(buckets_of([syns[name] for name in _SAME], count), syns)


def _one_way(segments: Segments) -> Iterator[Columns]:
    """The SYNs of flows that only arrive at a MAC, or only leave it, part by part."""
    names = {name: Numbering() for name in ("client_ip", "vip")}
    for part in segments.parts():
        rows = np.flatnonzero(part.to_vip & (part.flag == Flag.SYN))
        flow = part.flow[rows].astype(np.int64)
        flows = segments.flows.iloc[flow]
        syns: Columns = {
            "at_ns": part.at_ns[rows],
            "flow": flow,
            "sequence": np.asarray(part.sequence[rows], dtype=np.int64),
            "client": names["client_ip"].numbers_of(flows["client_ip"]),
            "vip": names["vip"].numbers_of(flows["vip"]),
            "port": flows["port"].to_numpy(dtype=np.int64),
        }
        to_mac, from_mac = part.destination_mac[rows], part.source_mac[rows]
        comes_out, came_in = _in_both(flow, to_mac, from_mac)
        yield _only(syns, to_mac, ~comes_out, arrives=True)
        yield _only(syns, from_mac, ~came_in, arrives=False)


def _only(syns: Columns, mac: Ints, chosen: Bools, *, arrives: bool) -> Columns:
    """Some of the SYNs, with the MAC that they arrive at or leave."""
    chosen = chosen & (mac != NO_MAC)
    kept = {name: column[chosen] for name, column in syns.items()}
    return {**kept, "mac": mac[chosen], "arrives": np.full(np.count_nonzero(chosen), arrives)}


def _in_both(flow: Ints, to_mac: Ints, from_mac: Ints) -> tuple[Bools, Bools]:
    """Which flows leave each MAC that they arrive at, and arrive at each that they leave."""
    size = len(flow)
    codes = alike([np.r_[flow, flow], np.r_[to_mac, from_mac]])
    arriving, leaving = codes[:size], codes[size:]
    return np.isin(arriving, leaving), np.isin(leaving, arriving)


def _sent_on(syns: Columns) -> Ints:
    """The flows whose SYN leaves the MAC that it arrived at under another client's address."""
    if not syns:
        return _NOTHING
    rows = pd.DataFrame(syns).sort_values("at_ns", kind="stable", ignore_index=True)
    arriving, leaving = rows[rows["arrives"]], rows[~rows["arrives"]]
    if arriving.empty or leaving.empty:
        return _NOTHING
    matches = pd.merge_asof(
        leaving[["at_ns", *_SAME, "client"]],
        arriving[["at_ns", *_SAME, "client", "flow"]],
        on="at_ns",
        by=_SAME,
        tolerance=SENT_ON_NS,
        suffixes=("", "_before"),
    ).dropna(subset="flow")
    matches = matches[matches["client"] != matches["client_before"]]
    return np.unique(matches["flow"].to_numpy(dtype=np.int64))
