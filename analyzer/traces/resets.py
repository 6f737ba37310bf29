"""Resets of connections: by the client, a real server or the director; and at which stage.

A reset to the client has the VIP as its source, whoever sent it. The sender shows: in nat, on the
director, whether a real server's reset came just before; where replies bypass the director, the
MAC. A director's own TCP resets what finds no entry; a SYN finds none only where there is no such
service, or none of its real servers can be used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.observed.parted import Coded, Kept, Parted
from analyzer.parts import rows_of_flows, same_flows
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
    from analyzer.parts import Columns, Store
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


def no_resets() -> Parted:
    """``resets`` of a run without any."""
    return Parted.of(
        pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in RESET_COLUMNS.items()})
    )


def resets(evidence: Evidence, measured: Sequence[Measured]) -> Parted:
    """The first reset of each connection that had one, in parts of whole flows, by flow.

    Returns:
        Frames with ``RESET_COLUMNS``: ``connection`` the row in ``wire.connections``; ``by``
        client, server, director, or unknown (one of the last two); ``stage`` handshake (the SYN
        was all there was), open, or closing (after a FIN); ``server`` whom it came from or was
        meant for, ``address:port`` or a MAC, <NA> where not known; ``asked_ns`` the client's
        last packet before it (NOT_ASKED: none), and ``pause_s`` the time from the packet before
        that one to it (0 without one).
    """
    captured = evidence.captured
    if captured is None or not captured.segments.any(lambda part: part.flag == Flag.RST):
        return no_resets()
    segments = captured.segments
    known = _Known.of(captured, measured, evidence.forwarding)
    kept = Kept(segments.store)
    for rows, part in zip(segments.cuts(), segments.parts(), strict=True):
        kept.append(_of_part(known, part, rows.start))
    return kept.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the resets of every part are judged by.

    Attributes:
        bypass: replies do not leave the director, so that its MAC identifies a sender.
        polled: the polled entries of each director.
    """

    captured: Captured
    bypass: bool
    polled: tuple[_Polled, ...]

    @classmethod
    def of(cls, captured: Captured, measured: Sequence[Measured], forwarding: str | None) -> _Known:
        segments, macs = captured.segments, list(captured.forwarder_macs)
        return cls(
            captured=captured,
            bypass=forwarding in ("dr", "tun") and not _replies_pass(segments, macs),
            polled=tuple(_Polled.of(result, segments.store) for result in measured),
        )

    def legs(self, flow: Ints) -> pd.DataFrame:
        """The packets between clients and real servers of a part's flows."""
        legs = self.captured.rewriting.legs
        return legs.iloc[same_flows(flow, legs["flow"].to_numpy())]


@dataclass(frozen=True, slots=True)
class _Polled:
    """The polled entries of a director: ``flow, appeared_ns, real_server``, by flow."""

    coded: Coded
    columns: Columns

    @classmethod
    def of(cls, result: Measured, store: Store) -> _Polled:
        coded, writer = Coded(), store.columns()
        for rows in result.tracked:
            writer.append(coded.columns(rows[["flow", "appeared_ns", "real_server"]]))
        return cls(coded, writer.finish())

    def frame(self, flow: Ints) -> pd.DataFrame:
        """Those of a part's flows."""
        rows = same_flows(flow, self.columns["flow"])
        return self.coded.frame({name: column[rows] for name, column in self.columns.items()})


def _of_part(known: _Known, part: Segments, first_row: int) -> pd.DataFrame:
    """The first resets of a part's connections.

    Args:
        known: of the whole capture.
        part: whole flows of its segments.
        first_row: where the part begins among them.
    """
    table = known.captured.connections
    there = same_flows(part.flow, table["flow"].to_numpy())
    table = table.iloc[there]
    rows = _first_of_each(part, table)
    connection = connection_of(table, part.flow[rows], part.at_ns[rows])
    legs = known.legs(part.flow)
    by = _senders(known, part, rows, legs["partner"].to_numpy()[~legs["to_server"]] - first_row)
    return pd.DataFrame(
        {
            "connection": there.start + connection,
            "flow": part.flow[rows],
            "at_ns": part.at_ns[rows],
            "by": by,
            "stage": _stages(part, rows, table, connection),
            "server": _servers(known, part, rows, by, legs),
            **_asked(part, rows),
        }
    ).astype(RESET_COLUMNS)


def _first_of_each(part: Segments, table: pd.DataFrame) -> Ints:
    """The row of the first reset of each connection."""
    rows = np.flatnonzero(part.flag == Flag.RST)
    connection = connection_of(table, part.flow[rows], part.at_ns[rows])
    rows, connection = rows[connection >= 0], connection[connection >= 0]
    _, first = np.unique(connection, return_index=True)
    return np.sort(rows[first])


def _senders(known: _Known, part: Segments, rows: Ints, sent_on: Ints) -> Strings:
    """Who sent each reset.

    Args:
        known: of the whole capture.
        part: its segments.
        rows: the resets among them.
        sent_on: the rows that are the other side of a real server's packet, and any others.
    """
    captured, macs = known.captured, list(known.captured.forwarder_macs)
    source = part.source_mac[rows]
    from_director = np.isin(source, macs)
    inside_is_seen = np.full(len(rows), captured.rewriting.flows > 0)
    is_unknown = (source == NO_MAC) | (not macs) | (from_director & (not known.bypass))
    return np.select(
        [part.to_vip[rows], np.isin(rows, sent_on), inside_is_seen, is_unknown, from_director],
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
    reset_ns = np.full(len(table) + 1, -1)  # the last: of segments before any connection
    reset_ns[connection] = segments.at_ns[rows]
    segments = segments.of_flows(segments.flow[rows])
    number = connection_of(table, segments.flow, segments.at_ns)
    before = segments.at_ns < reset_ns[number]
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
    known: _Known, part: Segments, rows: Ints, by: Strings, legs: pd.DataFrame
) -> pd.Series:
    """The real server by the packets sent on, else as polled, else by the reset's MAC."""
    flow, at_ns = part.flow[rows], part.at_ns[rows]
    servers = _by_legs(flow, at_ns, legs).fillna(_as_polled(flow, at_ns, known.polled))
    source = pd.Series(part.source_mac[rows])
    ports = known.captured.segments.flows["port"].to_numpy()
    port = pd.Series(ports[flow]).astype("string")
    named = source.map(known.captured.facts.neighbours).astype("string") + ":" + port
    by_mac = named.fillna(source.map({mac: _mac_name(mac) for mac in source.unique().tolist()}))
    return servers.fillna(by_mac.where(by == "server")).astype("string")


def _by_legs(flow: Ints, at_ns: Ints, legs: pd.DataFrame) -> pd.Series:
    """The real server that each reset's flow was last sent on to, at its instant."""
    sent_on = legs.loc[legs["partner"] != NO_PARTNER, ["flow", "at_ns", "server"]]
    return _server_at(flow, at_ns, sent_on, instant="at_ns", direction="backward")


def _as_polled(flow: Ints, at_ns: Ints, polled: Sequence[_Polled]) -> pd.Series:
    """The real server of the polled entry of each reset's flow that appeared nearest to it."""
    entries = pd.concat([each.frame(flow) for each in polled]) if polled else pd.DataFrame()
    entries = entries.rename(columns={"real_server": "server"})
    return _server_at(flow, at_ns, entries, instant="appeared_ns", direction="nearest")


def _server_at(
    flow: Ints,
    at_ns: Ints,
    known: pd.DataFrame,
    *,
    instant: str,
    direction: Literal["backward", "nearest"],
) -> pd.Series:
    """The server of a flow as known at an instant; <NA> where it is not."""
    if known.empty:
        return pd.Series(pd.NA, index=range(len(flow)), dtype="string")
    of_rows = pd.DataFrame({"flow": flow, "at_ns": at_ns}).astype("int64")
    latest = pd.merge_asof(
        of_rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable"),
        known.sort_values(instant, kind="stable"),
        left_on="at_ns",
        right_on=instant,
        by="flow",
        direction=direction,
    ).set_index("row")
    return latest["server"].sort_index().astype("string")


def _mac_name(mac: int) -> str | None:
    if mac in (NO_MAC, THIS_HOST):
        return None
    return "MAC " + ":".join(f"{byte:02x}" for byte in mac.to_bytes(6, "big"))
