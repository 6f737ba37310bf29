"""Findings from packets: missing handshakes, missing closes, delays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.arrays import is_one_of
from analyzer.findings.examples import Examples
from analyzer.ipvs.states import Flag
from analyzer.parts import frames_of, rows_of_flows, same_flows
from analyzer.results import Finding

if TYPE_CHECKING:
    from analyzer.arrays import Bools, Ints
    from analyzer.findings.figures import Figures
    from analyzer.measured import Measured
    from analyzer.wire.segments import Segments


_HALF_OPEN_STATES = ("SYN_RECV", "SYNACK")
_DELAY_S = (0.9, 1.5)
"""A dropped SYN is retransmitted after 1 s; loss also causes later times (1, 3, 7 s)."""


def half_open(figures: Figures) -> Finding | None:
    """Entries that ended without a handshake: active for a minute though nothing is open."""
    rows = [row for row in figures.lifetimes if row.state in _HALF_OPEN_STATES]
    if not rows:
        return None
    n = sum(row.n for row in rows)
    row = rows[0]
    such = figures.ends(figures.flows_in(*_HALF_OPEN_STATES).examples())
    return Finding(
        id="half-open",
        severity="warning",
        title=f"{n} connections never finished their handshake, and count as active",
        evidence=f"{n} entries ended in {row.state}, {row.timeout_s:g} s each"
        + (f"; such as {such}" if such else "")
        + ".",
        advice="ActiveConn does not mean established: SYN_RECV counts too, and no ipvsadm --set "
        "number shortens it. Causes are a SYN flood, clients that vanish, or replies that bypass a "
        "client; in nat the server's retransmitted SYN-ACKs keep such entries half a minute "
        "longer.",
    )


def arp_flux(figures: Figures) -> Finding | None:
    """The director sees only SYNs: the connection bypasses it, or was refused unseen."""
    evidence = figures.evidence
    if evidence is None or evidence.segments is None or figures.forwarding not in ("dr", "tun"):
        return None
    flows = figures.flows_in(*_HALF_OPEN_STATES)
    if not flows:
        return None
    past, seen, refused = Examples(), Examples(), False
    for part in evidence.segments.parts():
        segments = part.only(flows.among(part.flow))
        past = past.with_rows(_past_the_director(segments, evidence.forwarder_macs))
        seen = seen.with_rows(segments.flow, segments.at_ns)
        refused |= bool((~segments.to_vip & (segments.flag == Flag.RST)).any())
    if past.flows:
        return _leak(figures, past)
    if refused or _saw_replies(evidence.segments):
        return None
    such = flows.examples()
    return Finding(
        id="arp-flux",
        severity="warning",
        title="The director sees only SYNs: real servers leak the VIP by ARP, or refuse",
        evidence=f"{such.flows} connections show a SYN and nothing after it: {figures.ends(such)}"
        f" ({figures.when(seen)}). The director cannot distinguish the two.",
        advice="On a client check `ip neigh` for the VIP: the director's MAC is right, a real "
        "server's is the leak (set arp_ignore=1 and arp_announce=2 there). If it is right, the "
        "real servers refuse the connections: check whether they listen on the VIP.",
    )


def _leak(figures: Figures, such: Examples) -> Finding:
    return Finding(
        id="arp-flux",
        severity="problem",
        title="Clients bypass the director: a real server answers ARP for the VIP",
        evidence=f"{such.flows} connections began at the director and continued to another MAC: "
        f"{figures.ends(such)}.",
        advice="On every real server set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2.",
    )


def _past_the_director(segments: Segments, macs: frozenset[int]) -> Ints:
    """Flows with segments to the VIP at a MAC that is no director's."""
    known = list(macs)
    stray = segments.to_vip & ~is_one_of(segments.destination_mac, known)
    stray &= ~is_one_of(segments.source_mac, known)
    return np.unique(segments.flow[stray]) if known else np.zeros(0, dtype=np.int64)


def _saw_replies(segments: Segments) -> bool:
    return segments.any(lambda part: ~part.to_vip)


def outside_windows(figures: Figures) -> Finding | None:
    """Clients' packets that conntrack did not count, as they lay outside of their TCP windows."""
    found = [(result, *_outside(result)) for result in figures.by_conntrack]
    found = [(result, such, invalid) for result, such, invalid in found if such.rows]
    if not found:
        return None
    n = sum(such.rows for _, such, _ in found)
    return Finding(
        id="conntrack-outside-window",
        severity="warning" if any(invalid for *_, invalid in found) else "info",
        title=f"{n:,} packet{'s' * (n > 1)} of clients lay outside of "
        f"{'their' if n > 1 else 'its'} TCP window{'s' * (n > 1)}, and restarted no timeout",
        evidence=" ".join(
            f"On {result.director.name} {such.rows:,}, {invalid:,} of them "
            f"INVALID, so not translated: {figures.ends(such)} ({figures.when(such)})."
            for result, such, invalid in found
        ),
        advice="A client's INVALID packet reaches the director itself, which answers with a reset; "
        "a real server's leaves with its own address. Drop them (ct state invalid drop, as "
        "kube-proxy does), or set net.netfilter.nf_conntrack_tcp_be_liberal=1, with which only "
        "resets are judged. Causes are packets on another way than through the director, and "
        "hosts that keep old connections.",
    )


def _outside(result: Measured) -> tuple[Examples, int]:
    """The client's packets outside of their windows, and how many of them were INVALID."""
    such, invalid = Examples(), 0
    if result.prediction is None or result.prediction.outside is None:
        return such, invalid
    for part in frames_of(result.prediction.store, result.prediction.outside):
        such = such.with_rows(part["flow"], part["at_ns"])
        invalid += int(part["invalid"].sum())
    return such, invalid


def server_held_open(figures: Figures) -> Finding | None:
    """The server closed and the client did not: in dr the entry stays in ESTABLISHED."""
    if figures.connections is None or figures.by_conntrack:  # which sees every FIN
        return None
    such = Examples()
    for part in figures.connection_parts():
        held = part[part["server_fin"] & ~part["client_fin"] & (part["closer"] == "server")]
        if len(held):
            held = held[~held.index.isin(_reset_by_the_client(figures, held))]
        such = such.with_rows(held["flow"], held["first_ns"])
    if not such.rows:
        return None
    return Finding(
        id="server-held-open",
        severity="warning",
        title=f"{such.rows} connections were closed by the server, not by the client",
        evidence=f"The server sent a FIN and the client did not: "
        f"{figures.ends(such)} ({figures.when(such)}).",
        advice="In dr and tun the director never sees the server's FIN: such an entry stays "
        "ESTABLISHED, active, for the tcp timeout. Have clients close, or lower that timeout.",
    )


def _reset_by_the_client(figures: Figures, rows: pd.DataFrame) -> list[int]:
    """Which of a part's connections the client ended with a reset, as the director sees it."""
    if figures.evidence is None or figures.evidence.segments is None:
        return []
    segments = figures.evidence.segments
    segments = segments.part(same_flows(rows["flow"].to_numpy(), segments.flow))
    resets = segments.to_vip & (segments.flag == Flag.RST)
    seen = pd.DataFrame({"flow": segments.flow[resets], "at_ns": segments.at_ns[resets]})
    both = rows.rename_axis("connection").reset_index().merge(seen, on="flow")
    within = both["at_ns"].between(both["first_ns"], both["last_ns"])
    return both.loc[within, "connection"].astype("int64").tolist()


def port_reuse_delay(figures: Figures) -> Finding | None:
    """A SYN met an old entry and was answered only when retransmitted a second later."""
    if figures.connections is None:
        return None
    again = Examples()
    for part in figures.connection_parts():
        delayed = part[(part["syns"] > 1) & part["retry_s"].between(*_DELAY_S)]
        delayed = delayed[_met_an_older_entry(figures, delayed)]
        again = again.with_rows(delayed["flow"], delayed["first_ns"])
    dropped = sum(
        result.prediction.dropped_syns for result in figures.measured if result.prediction
    )
    if not again.rows and not dropped:
        return None
    n = max(again.rows, dropped)
    return Finding(
        id="port-reuse-delay",
        severity="problem",
        title=f"{n} connections waited a second: their source port was reused too soon",
        evidence=f"Their first SYN hit the entry of a connection that had ended, and was dropped; "
        f"the retransmission came about 1 s later: {figures.ends(again)} "
        f"({figures.when(again)}). {_sysctls(figures)}.",
        advice="Set net.ipv4.vs.conn_reuse_mode=0, or net.ipv4.vs.conntrack=0, or use more "
        "source ports or addresses than requests within one entry lifetime.",
    )


def _met_an_older_entry(figures: Figures, delayed: pd.DataFrame) -> Bools:
    """Which connections began while an earlier entry of their port was there."""
    met_older = np.zeros(len(delayed), dtype=bool)
    for result in figures.measured if len(delayed) else ():
        if result.prediction is None:
            continue
        entries = result.prediction.entries[["flow", "first_ns", "ends_ns"]]
        near = rows_of_flows(entries["flow"].to_numpy(), delayed["flow"].to_numpy())
        entries = entries.iloc[near].rename(columns={"first_ns": "made_ns"})
        both = delayed.rename_axis("connection").reset_index().merge(entries, on="flow")
        met = (both["made_ns"] < both["first_ns"]) & (both["first_ns"] <= both["ends_ns"])
        met_older |= delayed.index.isin(both.loc[met, "connection"])
    return met_older


def _sysctls(figures: Figures) -> str:
    return "; ".join(
        f"{director.name}: kernel {director.kernel or 'not known'}, "
        f"conn_reuse_mode {director.conn_reuse_mode}, conntrack {int(director.conntrack)}"
        for director in (result.director for result in figures.measured)
    )
