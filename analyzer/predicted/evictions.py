"""Entries that a director removed because another connection needed their source port.

Where no port is left to masquerade with, the kernel removes an entry in TIME_WAIT or later whose
port a new SYN can have (Linux 6.6 and later: ``nf_nat_used_tuple_harder``, ``nf_nat_may_kill``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.addresses import CONNECTION_KEY
from analyzer.predicted.entries import TIMER, ended_at

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.predicted.entries import Prediction

    Ints = npt.NDArray[np.int64]

PORT_TAKEN = "port-taken"
"""The cause of such an end."""

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
    numbered = flows[key].assign(flow=np.arange(len(flows)))
    rows = hidden.merge(numbered, on=key).sort_values("at_ns", kind="stable", ignore_index=True)
    rows["row"] = np.arange(len(rows))
    following = rows.groupby(_PORT)["row"].shift(-1, fill_value=_NONE)
    later = rows.iloc[following[following != _NONE]].reset_index(drop=True)
    rows = rows[following != _NONE].reset_index(drop=True)
    entries = prediction.entries
    first_ns, ends_ns = (entries[name].to_numpy(dtype=np.int64) for name in ("first_ns", "ends_ns"))
    old = _entries_at(entries, rows["flow"], rows["at_ns"])
    new = _entries_at(entries, later["flow"], later["at_ns"])
    ended_ns = np.where(new == _NONE, later["at_ns"].to_numpy(), first_ns[new])
    evicted = (old != _NONE) & (first_ns[old] < ended_ns) & (ends_ns[old] > ended_ns)
    evicted &= entries["cause"].eq(TIMER).to_numpy()[old]
    places, at_ns = np.unique(old[evicted], return_index=True)
    if not len(places):
        return prediction
    chosen = np.isin(np.arange(len(entries)), places)
    return ended_at(prediction, chosen, ended_ns[evicted][at_ns], PORT_TAKEN)


def _entries_at(entries: pd.DataFrame, flows: pd.Series, at_ns: pd.Series) -> Ints:
    """The place of each flow's latest entry that began by its instant; _NONE where none did."""
    asked = pd.DataFrame({"flow": flows.to_numpy(), "at_ns": at_ns.to_numpy()})
    began = entries[["flow", "first_ns"]].assign(place=np.arange(len(entries)))
    found = pd.merge_asof(
        asked.rename_axis("row").reset_index().sort_values("at_ns", kind="stable"),
        began.sort_values("first_ns", kind="stable"),
        left_on="at_ns",
        right_on="first_ns",
        by="flow",
    )
    return found.sort_values("row")["place"].fillna(_NONE).to_numpy(dtype=np.int64)
