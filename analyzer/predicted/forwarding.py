"""How a director forwards, and what says so: its configuration, its entries, or the packets.

What packets show depends on where they were captured:

* on the director, all of its interfaces: in nat each packet leaves for another address than it came
  for; in dr and tun it leaves for the same (or within another packet), and replies bypass the
  director;
* on a client: replies come from other MACs than requests go to where they bypass the director (dr,
  tun) and both are on the client's link. Then they have the TTL that a host begins with; one that
  is less came by a router, and routers may differ by direction. Behind one router both have its
  MAC, and in nat the director's: nothing tells one from the other;
* on a real server in nat: what is its address is no VIP, and nothing tells so;
* anywhere, of one side or direction alone: nothing tells.

A host that translates addresses by its own rules (a firewall, a container's network) looks like a
director in nat; a router that sends packets on unchanged, and replies too, like a director in dr
that is the real servers' gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.ipvs.states import Flag

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd

    from analyzer.recording.captures import Captured
    from analyzer.recording.manifest import Manifest
    from analyzer.results import Lifetime
    from analyzer.wire.segments import Segments

Basis = Literal["configured", "entries", "packets", "assumed"]

ASSUMED = "dr"
SEES_REPLIES = ("nat", "local")

WHAT_TELLS = (
    "`ipvsadm -Ln` on the director (Route, Masq or Tunnel), a capture on all interfaces of the "
    'director, or "forwarding" in meta.json'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWay:
    """What the same packets make of entries if forwarding is not what is assumed."""

    method: str
    state: str
    counted: Literal["active", "inactive"]
    timeout_name: Literal["tcp", "tcpfin", "udp", "fixed"]
    timeout_s: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """How a director is taken to forward: dr, nat, tun or local.

    Attributes:
        method: of most of its real servers.
        basis: what says so: its ``configuration`` as polled or given, the states of its
            ``entries``, the ``packets``, or nothing (``assumed``).
        why: the same in words.
        contradiction: what else that was recorded says otherwise; None if nothing does.
        otherwise: where it is assumed, and the other method would lead to other states or
            timeouts: to which.
    """

    method: str
    basis: Basis
    why: str
    contradiction: str | None = None
    otherwise: OtherWay | None = None


@dataclass(frozen=True, slots=True)
class _Sign:
    """What one source says: dr stands for tun too, unless tun is said."""

    method: str
    why: str


def rests_on_it(known: Forwarding | None, lifetimes: Sequence[Lifetime]) -> bool:
    """Whether what is said of entries rests on a way of forwarding that is only assumed.

    Args:
        known: how directors forward.
        lifetimes: the groups of entries; what governs is said of the largest.
    """
    if known is None or known.basis != "assumed" or not lifetimes:
        return False
    row = lifetimes[0]
    if known.otherwise is None:
        return row.state not in _WHATEVER_REPLIES
    return (known.otherwise.state, known.otherwise.timeout_name) != (row.state, row.timeout_name)


_WHATEVER_REPLIES = ("SYN_RECV", "CLOSE", "UDP")
"""Where requests alone led, and replies that were not captured would have changed nothing."""


def forwarding_of(
    manifest: Manifest,
    services: pd.DataFrame,
    entries: pd.DataFrame,
    captured: Captured | None,
) -> Forwarding | None:
    """How the director of a recording forwards; None where nothing depends on it.

    Args:
        manifest: with ``forwarding``, where somebody said it.
        services: polls of them.
        entries: changes of them.
        captured: the packets.
    """
    signs: tuple[tuple[Basis, _Sign | None], ...] = (
        ("configured", _configured(manifest, services, captured)),
        ("entries", _by_ports(entries)),
        ("packets", _sent_on(captured)),
        ("entries", _by_states(entries)),
        ("packets", _by_macs(captured)),
    )
    told = [(basis, sign) for basis, sign in signs if sign]
    if told:
        (basis, sign), *others = told
        against = next((other for _, other in others if _differs(sign.method, other.method)), None)
        return Forwarding(
            method=sign.method,
            basis=basis,
            why=sign.why,
            contradiction=against.why if against else None,
        )
    if captured is None or len(captured.segments.flow) == 0:
        return None
    return Forwarding(method=ASSUMED, basis="assumed", why=_why_unknown(captured))


def _differs(method: str, other: str) -> bool:
    return (method in SEES_REPLIES) != (other in SEES_REPLIES)


def _configured(
    manifest: Manifest, services: pd.DataFrame, captured: Captured | None
) -> _Sign | None:
    """As polled, of the services that were captured where there are any; else as given."""
    rows = services[services["forwarding"].notna()]
    if captured is not None and len(captured.segments.flow) and len(rows):
        ends = captured.segments.flows[["protocol", "vip", "port"]].drop_duplicates()
        ours = rows.merge(ends, on=["protocol", "vip", "port"])
        rows = ours if len(ours) else rows
    if len(rows):
        counts = rows["forwarding"].value_counts()
        others = ", ".join(str(name) for name in counts.index[1:])
        mixed = f", though other real servers have {others}" if others else ""
        return _Sign(str(counts.index[0]), f"its real servers are {counts.index[0]}{mixed}")
    told = manifest.forwarding
    return _Sign(str(told), f"the recording says {told}") if told else None


def _by_ports(entries: pd.DataFrame) -> _Sign | None:
    rows = entries[(entries["client_port"] != 0) & (entries["real_port"] != 0)]
    moved = rows[rows["real_port"] != rows["port"]]
    if moved.empty:
        return None
    one = moved.iloc[0]
    why = f"entries lead from port {one['port']} to port {one['real_port']}, as only nat does"
    return _Sign("nat", why)


def _by_states(entries: pd.DataFrame) -> _Sign | None:
    """By states that only replies, or only their absence, lead to."""
    rows = entries[(entries["protocol"] == "TCP") & (entries["client_port"] != 0)]
    names = ["director", "client_ip", "client_port", "vip", "port"]
    last = rows.drop_duplicates(names, keep="last")["state"]
    by_replies, without = int(last.isin(_BY_REPLIES).sum()), int((last == "FIN_WAIT").sum())
    if by_replies == without:
        return None
    if by_replies > without:
        why = f"{by_replies} entries were last in states that only replies lead to"
        return _Sign("nat", f"{why} (nat, or a real server on the director itself)")
    return _Sign("dr", f"{without} entries were last in FIN_WAIT, which replies would move on")


_BY_REPLIES = ("TIME_WAIT", "CLOSE_WAIT", "SYN_SENT")


def _sent_on(captured: Captured | None) -> _Sign | None:
    """By what becomes of packets at the director."""
    if captured is None:
        return None
    segments, macs = captured.segments, captured.forwarder_macs
    flows, rewritten = len(np.unique(segments.flow)), captured.rewriting.flows
    unchanged = _sent_on_unchanged(segments, macs)
    if rewritten > unchanged:
        servers = [str(server) for server in captured.rewriting.servers().unique()]
        shown = ", ".join(servers[:_SHOWN]) + (" and others" if len(servers) > _SHOWN else "")
        return _Sign("nat", f"packets of {rewritten} of {flows} connections are sent on to {shown}")
    if unchanged and not _take_replies(segments, macs):
        why = f"packets of {unchanged} of {flows} connections are sent on to the same address"
        return _Sign("dr", f"{why}, and replies do not come back that way")
    return None


_SHOWN = 2
FIRST_TTLS = (64, 128, 255)
"""What hosts send with (Linux and BSD, Windows, Solaris and routers): each router takes 1 off."""


def _by_macs(captured: Captured | None) -> _Sign | None:
    """By replies that bypass where requests go to, or come from, and that no router sent on."""
    if captured is None or captured.rewriting.flows:
        return None
    segments, macs = captured.segments, captured.forwarder_macs
    if not _replies_bypass(segments, macs) or _were_sent_on(segments):
        return None
    if _sent_on_unchanged(segments, macs):
        return None
    return _Sign("dr", "replies come straight from hosts of this link, past the MAC requests go to")


def _replies_bypass(segments: Segments, macs: frozenset[int]) -> bool:
    """Whether there are replies, and none of them comes from, or goes to, where requests go."""
    back = _replies(segments)
    mine = np.isin(segments.source_mac, list(macs)) | np.isin(segments.destination_mac, list(macs))
    return bool(macs) and bool(back.any()) and not (back & mine).any()


def _were_sent_on(segments: Segments) -> bool:
    """Whether a router took a hop off replies' TTL."""
    return not np.isin(segments.ttl[_replies(segments)], FIRST_TTLS).all()


def _replies(segments: Segments) -> npt.NDArray[np.bool_]:
    """Replies other than resets, which a director may send itself."""
    return ~segments.to_vip & np.not_equal(segments.flag, Flag.RST)


def _sent_on_unchanged(segments: Segments, macs: frozenset[int]) -> int:
    """How many flows both arrive at these MACs and leave them for the VIP."""
    mine = list(macs)
    arrive = segments.flow[segments.to_vip & np.isin(segments.destination_mac, mine)]
    leave = segments.flow[segments.to_vip & np.isin(segments.source_mac, mine)]
    return len(np.intersect1d(arrive, leave))


def _take_replies(segments: Segments, macs: frozenset[int]) -> bool:
    """Whether replies other than resets arrive at these MACs: a router's, or a gateway's."""
    return bool((_replies(segments) & np.isin(segments.destination_mac, list(macs))).any())


def _why_unknown(captured: Captured) -> str:
    segments = captured.segments
    if _sent_on_unchanged(segments, captured.forwarder_macs):
        return (
            "packets are sent on unchanged and so are replies, as by a director in dr that is the "
            "real servers' gateway, and by any router"
        )
    if segments.to_vip.all():
        return (
            "no reply was captured, as where replies bypass a director (dr, tun), and as where one "
            "direction or interface alone is captured"
        )
    if _replies_bypass(segments, captured.forwarder_macs) and _were_sent_on(segments):
        return (
            "replies come by another MAC than requests go to, but by a router (their TTL was "
            "lowered): in dr, and in nat where routers differ by direction"
        )
    return (
        "the capture has the packets of one side alone (a client's, or a server's): dr and nat "
        "look the same there"
    )
