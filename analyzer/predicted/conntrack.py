"""Entries of a netfilter director as predicted from packets."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.replay import Packets, replay
from analyzer.conntrack.settings import SYSCTLS
from analyzer.conntrack.states import Kind, kind_of
from analyzer.conntrack.windows import WITHIN, invalid
from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.states import Flag
from analyzer.parts.columns import named
from analyzer.predicted.entries import (
    REFUSED,
    TIMER,
    first_and_last,
    predicted_by_parts,
    prediction_of,
)
from analyzer.predicted.replay import Beliefs

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.conntrack.replay import ConntrackRules, Tracked
    from analyzer.predicted.entries import Prediction
    from analyzer.predicted.replay import Handling
    from analyzer.recording.clock import DirectorClock
    from analyzer.wire.segments import Segments

_TCP_ACK = 0x10


def predict(
    segments: Segments,
    clock: DirectorClock,
    rules: ConntrackRules,
    director: str,
    handled: Handling | None = None,
) -> Prediction:
    """Replay the segments that passed one netfilter director.

    Args:
        segments: that passed it, with the rest of their TCP headers.
        clock: of that director.
        rules: of that director.
        director: its name.
        handled: which of them it never got.

    Returns:
        As for IPVS, with ``timeout_name`` of each entry (the sysctl that governs it; ``fixed``
        without one): ``steps`` are the segments that moved an entry or restarted its timeout. An
        entry that a reset deleted ends with it, and its cause is ``REFUSED``.
    """
    one = partial(_predict, clock=clock, rules=rules, director=director)
    prediction = predicted_by_parts(segments, one, handled)
    return replace(prediction, dropped_syns=0)


def _predict(
    segments: Segments,
    handled: Handling,
    *,
    clock: DirectorClock,
    rules: ConntrackRules,
    director: str,
) -> Prediction:
    tracked = replay(packets_of(segments, clock, handled), rules)
    beliefs = Beliefs(
        entry=tracked.entry,
        state=tracked.state,
        timeout_s=tracked.timeout_s,
        expiry_uptime_s=tracked.expiry_uptime_s,
        reused=tracked.reused,
        dropped=~tracked.counted,
    )
    prediction = prediction_of(segments, beliefs, clock, director, handled)
    entries = prediction.entries
    killed = np.unique(tracked.entry[tracked.killed & (tracked.entry != NO_ENTRY)])
    last_ns, ends_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("last_ns", "ends_ns"))
    refused = entries.index.isin(killed) & (entries["cause"] == TIMER)
    entries = entries.assign(
        cause=entries["cause"].mask(refused, REFUSED),
        timeout_name=_timeout_names(tracked.sysctl[first_and_last(beliefs)[1]]),
        ends_ns=np.where(refused, last_ns, ends_ns),
    )
    return replace(prediction, entries=entries, outside=_outside(segments, tracked, rules))


def _outside(segments: Segments, tracked: Tracked, rules: ConntrackRules) -> pd.DataFrame:
    """The client's packets outside of their windows."""
    rows = np.flatnonzero((tracked.outside != WITHIN) & segments.to_vip)
    place = tracked.outside[rows]
    return pd.DataFrame(
        {
            "flow": segments.flow[rows],
            "at_ns": segments.at_ns[rows],
            "invalid": invalid(place, passes_late=rules.law.passes_late),
        }
    )


def _timeout_names(sysctl: npt.NDArray[np.int8]) -> pd.Series:
    return named(sysctl % len(_NAMES), _NAMES)


_NAMES = (*SYSCTLS, "fixed")  # FIXED is the last


def packets_of(segments: Segments, clock: DirectorClock, handled: Handling) -> Packets:
    """Segments as conntrack reads them."""
    assert segments.tcp is not None
    tcp = segments.tcp
    is_udp = segments.flag == Flag.DATAGRAM
    return Packets(
        flow=segments.flow,
        uptime_s=clock.uptime_s(segments.at_ns),
        original=segments.to_vip,
        kind=np.where(is_udp, np.int8(Kind.DATAGRAM), kind_of(tcp.flags)),
        sequence=np.asarray(segments.sequence, dtype=np.int64),
        acknowledgement=tcp.acknowledgement.astype(np.int64),
        has_ack=(tcp.flags & _TCP_ACK) != 0,
        payload_bytes=tcp.payload_bytes.astype(np.int64),
        window=tcp.window.astype(np.int64),
        window_scale=tcp.window_scale,
        lost=handled.dropped,
    )
