"""Segments to connections: who closed first, who answered, who holds TIME_WAIT."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]


def connections(segments: Segments) -> pd.DataFrame:
    """One row per connection: a new one begins with each SYN of a new sequence number.

    Args:
        segments: each once (``segments.without_copies``).

    Returns:
        DataFrame with ``flow`` (as in Segments), ``first_ns, last_ns`` (Unix ns), ``segments``,
        ``syns`` (sent by the client: more than one means the SYN was repeated), ``retry_s`` (from
        the first SYN to the last; 0 if there was one), ``closer``
        (client, server, reset or none), ``holds_time_wait`` (client, server or none: the closer
        of a connection that both sides closed), ``client_fin, server_fin, answered`` (whether
        seen), ``replied_by`` (MAC of the first reply, <NA> without one), ``director_mac`` (who
        took the first segment).
    """
    syn = (segments.flag == Flag.SYN) & segments.to_vip
    frame = pd.DataFrame(
        {
            "connection": _connection_numbers(segments),
            "flow": segments.flow,
            "at_ns": segments.at_ns,
            "syn": syn,
            "fin_client": (segments.flag == Flag.FIN) & segments.to_vip,
            "fin_server": (segments.flag == Flag.FIN) & ~segments.to_vip,
            "reset": segments.flag == Flag.RST,
            "reply": ~segments.to_vip,
            "to_mac": segments.destination_mac,
            "from_mac": segments.source_mac,
        }
    )
    rows = frame.groupby("connection", sort=True).agg(
        flow=("flow", "first"),
        first_ns=("at_ns", "first"),
        last_ns=("at_ns", "last"),
        segments=("at_ns", "size"),
        syns=("syn", "sum"),
        answered=("reply", "any"),
    )
    syns = frame[frame["syn"]].groupby("connection")["at_ns"].agg(["first", "last"])
    rows["retry_s"] = ((syns["last"] - syns["first"]) / 1e9).reindex(rows.index).fillna(0.0)
    rows["director_mac"] = _first(frame[~frame["reply"]], "to_mac", rows)
    rows["replied_by"] = _first(frame[frame["reply"]], "from_mac", rows)
    closed_ns = pd.DataFrame(
        {
            name: _first(frame[frame[name]], "at_ns", rows)
            for name in ("fin_client", "fin_server", "reset")
        }
    )
    rows["client_fin"], rows["server_fin"] = (
        closed_ns["fin_client"].notna(),
        closed_ns["fin_server"].notna(),
    )
    rows["closer"] = _closer(closed_ns)
    both = rows["client_fin"] & rows["server_fin"] & rows["closer"].isin(["client", "server"])
    rows["holds_time_wait"] = rows["closer"].where(both, "none")
    return rows


def _connection_numbers(segments: Segments) -> Ints:
    """Count up at each new flow, and at a SYN whose sequence number is not the last SYN's."""
    begins = np.zeros(len(segments.flow), dtype=bool)
    begins[segments.starts()] = True
    syns = np.flatnonzero((segments.flag == Flag.SYN) & segments.to_vip)
    fresh = np.diff(segments.sequence[syns]) != 0
    begins[syns[1:][fresh]] = True
    return np.asarray(np.cumsum(begins), dtype=np.int64)


def _first(frame: pd.DataFrame, column: str, rows: pd.DataFrame) -> pd.Series:
    return frame.groupby("connection")[column].first().astype("Int64").reindex(rows.index)


def _closer(closed_ns: pd.DataFrame) -> pd.Series:
    """The side whose FIN came first; ``reset`` if a reset came before any FIN."""
    if closed_ns.empty:
        return pd.Series(dtype="string")
    names = {"fin_client": "client", "fin_server": "server", "reset": "reset"}
    never = np.iinfo(np.int64).max
    order = closed_ns.fillna(never).astype("int64")
    first = order.idxmin(axis=1).map(names)
    return first.where(order.min(axis=1) < never, "none")
