"""The hosts' own sockets beside the director's entries: how many, in which state, for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.charts.curves import SocketCurve
from analyzer.compared.curves import seconds
from analyzer.observed.entries import ns
from analyzer.results import Estimate, SocketState

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd


def socket_curves(sockets: pd.DataFrame, zero_ns: int) -> tuple[SocketCurve, ...]:
    """The recording's ``sockets`` as one curve for each host and state, in order of their names."""
    curves = []
    for (host, state), rows in sockets.sort_values("at").groupby(["host", "state"]):
        t_s = seconds(ns(rows["at"]), zero_ns)
        count = rows["count"].to_numpy(dtype=np.int64)
        curves.append(SocketCurve(host=str(host), state=str(state), t_s=t_s, count=count))
    return tuple(curves)


def socket_states(curves: Sequence[SocketCurve]) -> tuple[SocketState, ...]:
    """Each host's states that any socket was seen in."""
    return tuple(
        SocketState(
            host=curve.host,
            state=curve.state,
            peak=int(curve.count.max()),
            last=int(curve.count[-1]),
            held_s=held_s(curve),
        )
        for curve in curves
        if len(curve.count) and curve.count.max() > 0
    )


def held_s(curve: SocketCurve) -> Estimate | None:
    """How long the last socket to come into this state stayed in it; None if that was not seen.

    The last rise lies between two counts, and so does the fall to none; nothing came after it.
    A socket that came while others left shows in no rise, so this is the time of the last visible
    one. It is right for a burst, whose sockets come together, and no claim is made where sockets
    come and go.
    """
    count, t_s = curve.count, curve.t_s
    rises, falls = np.flatnonzero(np.diff(count) > 0) + 1, np.flatnonzero(np.diff(count) < 0) + 1
    if len(rises) == 0 or count[-1] != 0 or (falls < rises[-1]).any():
        return None
    rise = rises[-1]
    none = rise + int(np.argmax(count[rise:] == 0))
    shortest, longest = t_s[none - 1] - t_s[rise], t_s[none] - t_s[rise - 1]
    return Estimate(value=float(shortest + longest) / 2, uncertainty=float(longest - shortest) / 2)
