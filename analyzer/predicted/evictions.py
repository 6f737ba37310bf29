"""Entries that a director removed because another connection needed their source port.

Where no port is left to masquerade with, the kernel removes an entry in TIME_WAIT or later whose
port a new SYN can have (Linux 6.6 and later: ``nf_nat_used_tuple_harder``, ``nf_nat_may_kill``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.predicted.entries import PORT_TAKEN, TIMER, at_instants, ended_at
from analyzer.recording.instants import latest_row

if TYPE_CHECKING:
    import pandas as pd

    from analyzer.predicted.entries import Prediction

_NONE = -1
_PORT = ["protocol", "source_ip", "source_port", "server"]


def with_evictions(prediction: Prediction, flows: pd.DataFrame, hidden: pd.DataFrame) -> Prediction:
    """The prediction with entries ended by the SYN of the connection that has their port next.

    Args:
        prediction: of one netfilter director.
        flows: ``Segments.flows``.
        hidden: ``hidden_connections`` of it; those without captured packets are left out.
    """
    if hidden.empty or prediction.entries.empty:
        return prediction
    key = [*CONNECTION_KEY]
    near = flows[flows["client_port"].isin(hidden["client_port"])][key]
    near = near.astype(hidden[key].dtypes.to_dict()).rename_axis("flow").reset_index()
    rows = hidden.merge(near, on=key).sort_values("at_ns", kind="stable", ignore_index=True)
    rows["row"] = np.arange(len(rows))
    following = rows.groupby(_PORT)["row"].shift(-1, fill_value=_NONE)
    later = rows.iloc[following[following != _NONE]].reset_index(drop=True)
    rows = rows[following != _NONE].reset_index(drop=True)
    entries = prediction.entries
    first_ns, ends_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("first_ns", "ends_ns"))
    flow = entries["flow"].to_numpy(dtype=np.int64)
    old, new = (
        latest_row(flow, first_ns, each["flow"].to_numpy(), each["at_ns"].to_numpy())
        for each in (rows, later)
    )
    ended_ns = np.where(new == _NONE, later["at_ns"].to_numpy(), first_ns[new])
    evicted = (old != _NONE) & (first_ns[old] < ended_ns) & (ends_ns[old] > ended_ns)
    evicted &= entries["cause"].eq(TIMER).to_numpy()[old]
    places, at_ns = np.unique(old[evicted], return_index=True)
    if not len(places):
        return prediction
    return ended_at(prediction, at_instants(places, ended_ns[evicted][at_ns]), PORT_TAKEN)
