"""Frames to the MAC that directors share (use_vmac), put down to the one that was master then.

Each director has the virtual MAC, so that a frame to it does not show which one received it; the
advertisements do.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.wire.connections import connections
from analyzer.wire.segments import is_virtual_router

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.arrays import Ints
    from analyzer.evidence.captures import Captured
    from analyzer.recording.director import Director
    from analyzer.wire.segments import Segments
    from analyzer.wire.vrrp import Advertisement


def by_master(
    captured: Captured, adverts: Sequence[Advertisement], directors: Sequence[Director]
) -> tuple[Captured, tuple[Director, ...]]:
    """The capture and the directors with MACs of their own in place of those that they share.

    Unchanged where no frame went to such a MAC, or the masters are not known.

    Args:
        captured: the packets.
        adverts: in order of time.
        directors: as recorded.
    """
    own = {
        address: min(mac for mac in director.macs if not is_virtual_router(mac))
        for director in directors
        if any(not is_virtual_router(mac) for mac in director.macs)
        for address in director.addresses
    }
    shared = [
        mac
        for mac in set().union(*(director.macs for director in directors))
        if is_virtual_router(mac)
    ]
    known = [(advert.at_ns, own[advert.sender]) for advert in adverts if advert.sender in own]
    if not shared or not known:
        return captured, tuple(directors)
    at_ns, masters = np.array(known, dtype=np.int64).T
    once = _of_masters(captured.once, shared, at_ns, masters)
    segments = _of_masters(captured.segments, shared, at_ns, masters)
    alone = (replace(each, macs=each.macs - frozenset(shared)) for each in directors)
    captured = replace(captured, segments=segments, once=once, connections=connections(once))
    return captured, tuple(alone)


def _of_masters(segments: Segments, shared: Sequence[int], at_ns: Ints, masters: Ints) -> Segments:
    last = np.maximum(np.searchsorted(at_ns, segments.at_ns, side="right") - 1, 0)
    to, by = segments.destination_mac, segments.source_mac
    return replace(
        segments,
        destination_mac=np.where(np.isin(to, shared), masters[last], to),
        source_mac=np.where(np.isin(by, shared), masters[last], by),
    )
