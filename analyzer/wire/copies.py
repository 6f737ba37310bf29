"""Removal of packets that one host captured several times: on a VLAN, its bond and its port.

``tcpdump -i any`` shows each of them. Where the link says whether a packet came in or went out, the
same packet of the same direction counts once. Where it says nothing, a packet that is sent on comes
twice in the same words: of SYN, FIN and RST the second is left out, as no host repeats those so
soon; anything else that comes twice starts a timer again within a moment, which changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.parts import Rows, filled
from analyzer.wire.packets import NO_MAC, THIS_HOST
from analyzer.wire.segments import SENT_ON_NS

if TYPE_CHECKING:
    from analyzer.arrays import Bools
    from analyzer.wire.segments import Segments


SAME_DIRECTION_NS = 200_000
"""The longest time from the first interface that a packet passes to the last."""


def each_once(segments: Segments) -> Segments:
    """The segments without those that another interface of the same host has shown already."""
    tasks = ((part,) for part in segments.parts())
    return segments.only(filled(segments.store, _first_shown, tasks)["first"])


def _first_shown(segments: Segments) -> Rows[None]:
    return Rows({"first": ~_shown_already(segments)}, None)


def _shown_already(segments: Segments) -> Bools:
    by_host = (segments.source_mac == THIS_HOST) | (segments.destination_mac == THIS_HOST)
    by_nobody = (segments.source_mac == NO_MAC) & (segments.destination_mac == NO_MAC)
    again = np.zeros(len(segments.flow), dtype=bool)
    if by_host.any():
        again |= _again(segments, by_host, SAME_DIRECTION_NS)
    single = is_one_of(segments.flag, (Flag.SYN, Flag.FIN, Flag.RST))
    if (by_nobody & single).any():
        again |= _again(segments, by_nobody & single, SENT_ON_NS)
    return again


def _again(segments: Segments, chosen: Bools, within_ns: int) -> Bools:
    """Which of the chosen segments repeat an earlier one within ``within_ns``."""
    rows = np.flatnonzero(chosen)
    alike = pd.DataFrame(
        {
            "flow": segments.flow[rows],
            "to_vip": segments.to_vip[rows],
            "flag": segments.flag[rows],
            "sequence": segments.sequence[rows],
            "source": segments.source_mac[rows],
            "destination": segments.destination_mac[rows],
        }
    )
    at_ns = pd.Series(segments.at_ns[rows])
    since_ns = at_ns.groupby([alike[name] for name in alike], sort=False).diff()
    again = np.zeros(len(chosen), dtype=bool)
    again[rows[(since_ns <= within_ns).to_numpy()]] = True
    return again
