"""Resets of connections: by the client, a real server or the director; and at which stage.

A reset to the client has the VIP as its source, whoever sent it. The sender shows: in nat, on the
director, whether a real server's reset came just before; where replies bypass the director, the
MAC. A director's own TCP resets what finds no entry; a SYN finds none only where there is no such
service, or none of its real servers can be used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.parts import rows_of_flows
from analyzer.traces.choose import connection_of
from analyzer.units import NS_PER_S
from analyzer.wire.packets import NO_MAC, THIS_HOST
from analyzer.wire.rewriting import NO_PARTNER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from analyzer.evidence.captures import Captured
    from analyzer.evidence.evidence import Evidence
    from analyzer.measured import Measured
    from analyzer.wire.segments import Segments

    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]
    Strings = npt.NDArray[np.object_]

RESET_COLUMNS = {
    "connection": "int64",
    "flow": "int64",
    "at_ns": "int64",
    "by": "string",
    "stage": "string",
    "server": "string",
    "asked_ns": "int64",
    "pause_s": "float64",
}
NOT_ASKED = -1
_NEVER = np.iinfo(np.int64).max


def no_resets() -> pd.DataFrame:
    """``resets`` of a run without any."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in RESET_COLUMNS.items()})


def resets(evidence: Evidence, measured: Sequence[Measured]) -> pd.DataFrame:
    """The first reset of each connection that had one.

    Returns:
        DataFrame with ``RESET_COLUMNS``: ``connection`` the row in ``wire.connections``; ``by``
        client, server, director, or unknown (one of the last two); ``stage`` handshake (the SYN
        was all there was), open, or closing (after a FIN); ``server`` whom it came from or was
        meant for, ``address:port`` or a MAC, <NA> where not known; ``asked_ns`` the client's
        last packet before it (NOT_ASKED: none), and ``pause_s`` the time from the packet before
        that one to it (0 without one).
    """
    captured = evidence.captured
    if captured is None:
        return no_resets()
    segments = captured.segments
    rows = _first_of_each(segments, captured.connections)
    if not len(rows):
        return no_resets()
    connection = connection_of(captured.connections, segments.flow[rows], segments.at_ns[rows])
    by = _senders(captured, rows, evidence.forwarding)
    first_resets = pd.DataFrame(
        {
            "connection": connection,
            "flow": segments.flow[rows],
            "at_ns": segments.at_ns[rows],
            "by": by,
            "stage": _stages(segments, rows, captured.connections, connection),
            "server": _servers(captured, measured, rows, by),
            **_asked(segments, rows),
        }
    )
    return (
        first_resets[first_resets["connection"] >= 0].astype(RESET_COLUMNS).reset_index(drop=True)
    )


def _first_of_each(segments: Segments, table: pd.DataFrame) -> Ints:
    """The row of the first reset of each connection."""
    rows = segments.rows(lambda part: part.flag == Flag.RST)
    connection = connection_of(table, segments.flow[rows], segments.at_ns[rows])
    _, first = np.unique(connection, return_index=True)
    return np.sort(rows[first])


def _senders(captured: Captured, rows: Ints, forwarding: str | None) -> Strings:
    segments, macs = captured.segments, list(captured.forwarder_macs)
    source = segments.source_mac[rows]
    from_director = np.isin(source, macs)
    bypass = forwarding in ("dr", "tun") and not _replies_pass(segments, macs)
    sent_on = np.zeros(len(rows), dtype=bool)
    for legs in captured.rewriting.parts():
        sent_on |= np.isin(rows, legs.loc[~legs["to_server"], "partner"].unique())
    inside_is_seen = np.full(len(rows), captured.rewriting.flows > 0)
    is_unknown = (source == NO_MAC) | (not macs) | (from_director & (not bypass))
    return np.select(
        [segments.to_vip[rows], sent_on, inside_is_seen, is_unknown, from_director],
        ["client", "server", "director", "unknown", "director"],
        default="server",
    ).astype(object)


def _replies_pass(segments: Segments, macs: list[int]) -> bool:
    """Whether replies other than resets leave the director: then its MAC identifies no sender."""
    return segments.any(
        lambda part: ~part.to_vip & (part.flag != Flag.RST) & is_one_of(part.source_mac, macs)
    )


def _stages(segments: Segments, rows: Ints, table: pd.DataFrame, connection: Ints) -> Strings:
    """How far each connection had come when it was reset, by what was captured of it."""
    reset_ns = pd.Series(segments.at_ns[rows], index=connection)
    segments = segments.of_flows(segments.flow[rows])
    number = connection_of(table, segments.flow, segments.at_ns)
    before = segments.at_ns < pd.Series(number).map(reset_ns).fillna(-1).to_numpy()
    flag, forth = segments.flag, segments.to_vip
    is_syn = (flag == Flag.SYN) & forth

    def had(which: Bools) -> Bools:
        return np.isin(connection, number[before & which])

    syn_alone = had(is_syn) & ~had(~is_syn)
    return np.select([syn_alone, had(flag == Flag.FIN)], ["handshake", "closing"], "open").astype(
        object
    )


def _asked(segments: Segments, rows: Ints) -> dict[str, npt.NDArray[Any]]:
    """The packet that caused each reset: when it came, and after which pause."""
    near = rows_of_flows(segments.flow, segments.flow[rows])
    segments, rows = segments.of_flows(segments.flow[rows]), np.searchsorted(near, rows)
    numbers = np.arange(len(segments.flow))
    latest = np.maximum.accumulate(np.where(segments.to_vip, numbers, -1))
    asked = latest[np.maximum(rows - 1, 0)]
    is_asked = (asked >= 0) & (asked < rows) & (segments.flow[asked] == segments.flow[rows])
    before = np.maximum(asked - 1, 0)
    has_before = is_asked & (asked > 0) & (segments.flow[before] == segments.flow[rows])
    pause_ns = segments.at_ns[asked] - segments.at_ns[before]
    return {
        "asked_ns": np.where(is_asked, segments.at_ns[asked], NOT_ASKED),
        "pause_s": np.where(has_before, pause_ns, 0) / NS_PER_S,
    }


def _servers(
    captured: Captured, measured: Sequence[Measured], rows: Ints, by: Strings
) -> pd.Series:
    """The real server by the packets sent on, else as polled, else by the reset's MAC."""
    segments = captured.segments
    flow = pd.Series(segments.flow[rows])
    servers = _by_legs(captured, rows).fillna(_as_polled(flow, segments.at_ns[rows], measured))
    source = pd.Series(segments.source_mac[rows])
    port = flow.map(segments.flows["port"]).astype("string")
    named = source.map(captured.facts.neighbours).astype("string") + ":" + port
    by_mac = named.fillna(source.map(_mac_name).astype("string"))
    return servers.fillna(by_mac.where(by == "server")).astype("string")


def _by_legs(captured: Captured, rows: Ints) -> pd.Series:
    """The real server that each reset's flow was last sent on to, at its instant."""
    segments, legs = captured.segments, captured.rewriting.legs
    of_rows = pd.DataFrame({"flow": segments.flow[rows], "at_ns": segments.at_ns[rows]})
    if legs.empty:
        return pd.Series(pd.NA, index=of_rows.index, dtype="string")
    legs = legs.iloc[rows_of_flows(legs["flow"].to_numpy(), segments.flow[rows])]
    known = legs.loc[legs["partner"] != NO_PARTNER, ["flow", "at_ns", "server"]]
    latest = pd.merge_asof(
        of_rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable"),
        known.sort_values("at_ns", kind="stable"),
        on="at_ns",
        by="flow",
    ).set_index("row")
    return latest["server"].sort_index().astype("string")


def _as_polled(flow: pd.Series, at_ns: Ints, measured: Sequence[Measured]) -> pd.Series:
    flows = flow.unique()
    tracked = [result.tracked.where(lambda rows: rows["flow"].isin(flows)) for result in measured]
    known = (
        pd.concat(tracked)[["flow", "appeared_ns", "real_server"]] if tracked else pd.DataFrame()
    )
    if known.empty:
        return pd.Series(pd.NA, index=flow.index, dtype="string")
    of_rows = pd.DataFrame({"flow": flow.to_numpy(dtype=np.int64), "at_ns": at_ns})
    latest = pd.merge_asof(
        of_rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable"),
        known.sort_values("appeared_ns", kind="stable"),
        left_on="at_ns",
        right_on="appeared_ns",
        by="flow",
        direction="nearest",
    ).set_index("row")
    return latest["real_server"].sort_index().astype("string")


def _mac_name(mac: int) -> str | None:
    if mac in (NO_MAC, THIS_HOST):
        return None
    return "MAC " + ":".join(f"{byte:02x}" for byte in mac.to_bytes(6, "big"))
