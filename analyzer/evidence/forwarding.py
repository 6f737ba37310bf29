"""The forwarding method of a director, from its configuration, its entries, or the packets.

What packets show depends on where they were captured:

* on the director, all of its interfaces: in nat each packet leaves for another address than it came
  for; in dr and tun it leaves for the same (or within another packet), and replies bypass the
  director;
* on a client: replies come from other MACs than requests go to where they bypass the director (dr,
  tun) and both are on the client's link. Then they have the TTL that a host begins with; one that
  is less came by a router, and routers may differ by direction. Behind one router both have its
  MAC, and in nat the director's: so they cannot be distinguished;
* on a real server in nat: what is its address is no VIP, which cannot be seen;
* anywhere, of one side or direction alone: it stays unknown.

A host that translates addresses by its own rules (a firewall, a container's network) looks like a
director in nat; a router that sends packets on unchanged, and replies too, like a director in dr
that is the real servers' gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from analyzer.arrays import is_one_of
from analyzer.ipvs.states import Flag
from analyzer.results import Counted, TimeoutName
from analyzer.wire.services import SERVICE, services_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from analyzer.evidence.captures import Captured
    from analyzer.recording.manifest import Manifest
    from analyzer.results import Lifetime
    from analyzer.wire.segments import Segments

Basis = Literal["configured", "entries", "packets", "assumed"]

ASSUMED = "dr"
SEES_REPLIES = ("nat", "local")

HOW_TO_SETTLE = (
    "`ipvsadm -Ln` on the director (Route, Masq or Tunnel), a capture on all interfaces of the "
    'director, or "forwarding" in meta.json'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWay:
    """Consequences for entries if forwarding is not as assumed."""

    method: str
    state: str
    counted: Counted | None
    timeout_name: TimeoutName
    timeout_s: float | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """How a director is taken to forward: dr, nat, tun or local.

    Attributes:
        method: of most of its real servers.
        basis: the evidence: its ``configuration`` as polled or given, the states of its
            ``entries``, the ``packets``, or nothing (``assumed``).
        why: the same in words.
        contradiction: other recorded evidence that contradicts it; None without any.
        otherwise: where it is assumed, and the other method would lead to other states or
            timeouts: to which.
    """

    method: str
    basis: Basis
    why: str
    contradiction: str | None = None
    otherwise: OtherWay | None = None


@dataclass(frozen=True, slots=True)
class _Indication:
    """The method that one source indicates; dr stands for tun too, unless it names tun."""

    method: str
    why: str


def rests_on_it(known: Forwarding | None, lifetimes: Sequence[Lifetime]) -> bool:
    """Whether conclusions on entries rest on a forwarding method that is only assumed.

    Args:
        known: how directors forward.
        lifetimes: the groups of entries; the largest decides what governs.
    """
    if known is None or known.basis != "assumed" or not lifetimes:
        return False
    row = lifetimes[0]
    if known.otherwise is None:
        return row.state not in _WHATEVER_REPLIES
    return (known.otherwise.state, known.otherwise.timeout_name) != (row.state, row.timeout_name)


_WHATEVER_REPLIES = ("SYN_RECV", "CLOSE", "UDP")
"""States after requests alone that replies, had they been captured, would not have changed."""


def forwarding_of(
    manifest: Manifest,
    services: pd.DataFrame,
    entries: EntrySigns,
    captured: Captured | None,
) -> Forwarding | None:
    """How the director of a recording forwards; None where nothing depends on it.

    Args:
        manifest: with ``forwarding``, where it was given.
        services: polls of them.
        entries: what their changes show.
        captured: the packets.
    """
    if _is_netfilter(manifest):
        return Forwarding(method="nat", basis="configured", why=_NETFILTER)
    signs = _signs_of(captured) if captured else _Signs(macs_known=False)
    indications: tuple[tuple[Basis, _Indication | None], ...] = (
        ("configured", _configured(manifest, services, captured)),
        ("entries", entries.by_ports()),
        ("packets", _sent_on(captured, signs)),
        ("entries", entries.by_states()),
        ("packets", _by_macs(captured, signs)),
    )
    given = [(basis, indication) for basis, indication in indications if indication]
    if given:
        (basis, indication), *others = given
        against = next(
            (other for _, other in others if _differs(indication.method, other.method)), None
        )
        return Forwarding(
            method=indication.method,
            basis=basis,
            why=indication.why,
            contradiction=against.why if against else None,
        )
    if captured is None or len(captured.segments.flow) == 0:
        return None
    return Forwarding(method=ASSUMED, basis="assumed", why=_why_unknown(signs))


_NETFILTER = "its directors are of kind netfilter, which translates addresses"


def _is_netfilter(manifest: Manifest) -> bool:
    """Whether all directors are netfilter's."""
    return {facts.kind for facts in manifest.directors.values()} == {"netfilter"}


def _differs(method: str, other: str) -> bool:
    return (method in SEES_REPLIES) != (other in SEES_REPLIES)


def _configured(
    manifest: Manifest, services: pd.DataFrame, captured: Captured | None
) -> _Indication | None:
    """The method as polled, of captured services where there are any; else as given."""
    rows = services[["forwarding", *SERVICE]].dropna(subset=["forwarding"])
    if captured is not None and len(captured.segments.flow) and len(rows):
        ours = rows.merge(services_of(captured.segments), on=SERVICE)
        rows = ours if len(ours) else rows
    if len(rows):
        counts = rows["forwarding"].value_counts()
        others = ", ".join(str(name) for name in counts.index[1:])
        mixed = f", though other real servers have {others}" if others else ""
        return _Indication(str(counts.index[0]), f"its real servers are {counts.index[0]}{mixed}")
    given = manifest.forwarding
    return _Indication(str(given), f"the recording says {given}") if given else None


@dataclass(slots=True)
class EntrySigns:
    """What the changes of entries show of the forwarding method.

    Attributes:
        moved: the virtual and the real port of the first entry in which they differ.
        by_replies: how many entries were last in states that only replies lead to.
        without: how many in one that replies would move on.
    """

    moved: tuple[int, int] | None = None
    by_replies: int = 0
    without: int = 0

    def see(self, changes: pd.DataFrame) -> None:
        """Take the next changes into account, as recorded."""
        if self.moved is not None:
            return
        rows = changes[(changes["client_port"] != 0) & (changes["real_port"] != 0)]
        moved = rows[rows["real_port"] != rows["port"]]
        if len(moved):
            self.moved = int(moved["port"].iloc[0]), int(moved["real_port"].iloc[0])

    def see_flows(self, changes: pd.DataFrame) -> None:
        """Take all changes of some connections into account, in the order in which they came."""
        rows = changes[(changes["protocol"] == "TCP") & (changes["client_port"] != 0)]
        names = ["director", "client_ip", "client_port", "vip", "port"]
        last = rows.drop_duplicates(names, keep="last")["state"]
        self.by_replies += int(last.isin(_BY_REPLIES).sum())
        self.without += int((last == "FIN_WAIT").sum())

    def by_ports(self) -> _Indication | None:
        """The method by entries that lead to another port."""
        if self.moved is None:
            return None
        port, real_port = self.moved
        why = f"entries lead from port {port} to port {real_port}, as only nat does"
        return _Indication("nat", why)

    def by_states(self) -> _Indication | None:
        """The method by entry states that only replies, or only their absence, lead to."""
        if self.by_replies == self.without:
            return None
        if self.by_replies > self.without:
            why = f"{self.by_replies} entries were last in states that only replies lead to"
            return _Indication("nat", f"{why} (nat, or a real server on the director itself)")
        return _Indication(
            "dr", f"{self.without} entries were last in FIN_WAIT, which replies would move on"
        )


_BY_REPLIES = ("TIME_WAIT", "CLOSE_WAIT", "SYN_SENT")


def _sent_on(captured: Captured | None, signs: _Signs) -> _Indication | None:
    """The method by whether the director rewrites packets or sends them on unchanged."""
    if captured is None:
        return None
    rewritten, unchanged, flows = captured.rewriting.flows, signs.sent_on, signs.flows
    if rewritten > unchanged:
        servers = captured.rewriting.servers()
        shown = ", ".join(servers[:_SHOWN]) + (" and others" if len(servers) > _SHOWN else "")
        return _Indication(
            "nat", f"packets of {rewritten} of {flows} connections are sent on to {shown}"
        )
    if unchanged and not signs.replies_taken:
        why = f"packets of {unchanged} of {flows} connections are sent on to the same address"
        return _Indication("dr", f"{why}, and replies do not come back that way")
    return None


_SHOWN = 2
FIRST_TTLS = (64, 128, 255)
"""Initial TTLs of hosts (Linux and BSD, Windows, Solaris and routers): each router takes 1 off."""


def _by_macs(captured: Captured | None, signs: _Signs) -> _Indication | None:
    """The method by replies that bypass the requests' MACs, and that no router sent on."""
    if captured is None or captured.rewriting.flows:
        return None
    if not signs.bypass or signs.replies_routed or signs.sent_on:
        return None
    return _Indication(
        "dr", "replies come straight from hosts of this link, past the MAC requests go to"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signs:
    """What segments show of how some MACs, the directors', forward; ``a + b`` of two parts.

    Attributes:
        macs_known: whether there are any.
        replies: whether there are any, other than resets, which a director may send itself.
        replies_taken: whether these MACs take any of those: a router's, or a gateway's.
        replies_sent: whether they send any.
        replies_routed: whether a router took a hop off the TTL of any.
        resets_back: whether there are resets to clients.
        flows: how many have segments.
        sent_on: how many of them both arrive at these MACs and leave them for the VIP.
    """

    macs_known: bool
    replies: bool = False
    replies_taken: bool = False
    replies_sent: bool = False
    replies_routed: bool = False
    resets_back: bool = False
    flows: int = 0
    sent_on: int = 0

    def __add__(self, other: _Signs) -> _Signs:
        return _Signs(
            macs_known=self.macs_known,
            replies=self.replies or other.replies,
            replies_taken=self.replies_taken or other.replies_taken,
            replies_sent=self.replies_sent or other.replies_sent,
            replies_routed=self.replies_routed or other.replies_routed,
            resets_back=self.resets_back or other.resets_back,
            flows=self.flows + other.flows,
            sent_on=self.sent_on + other.sent_on,
        )

    @property
    def bypass(self) -> bool:
        """Whether there are replies, and none of them comes from, or goes to, these MACs."""
        return self.macs_known and self.replies and not (self.replies_taken or self.replies_sent)


def _signs_of(captured: Captured) -> _Signs:
    segments, macs = captured.segments, sorted(captured.forwarder_macs)
    parts = segments.store.map(_signs, ((part, macs) for part in segments.parts()))
    return sum(parts, _Signs(macs_known=bool(macs)))


def _signs(segments: Segments, macs: list[int]) -> _Signs:
    is_reset = np.equal(segments.flag, Flag.RST)
    replies = ~segments.to_vip & ~is_reset
    takes, sends = (
        is_one_of(each, macs) for each in (segments.destination_mac, segments.source_mac)
    )
    leave = segments.flow[segments.to_vip & sends]
    arrive = segments.flow[segments.to_vip & takes] if len(leave) else leave
    return _Signs(
        macs_known=bool(macs),
        replies=bool(replies.any()),
        replies_taken=bool((replies & takes).any()),
        replies_sent=bool((replies & sends).any()),
        replies_routed=bool((replies & ~is_one_of(segments.ttl, FIRST_TTLS)).any()),
        resets_back=bool((~segments.to_vip & is_reset).any()),
        flows=len(segments.starts()),
        sent_on=len(np.intersect1d(arrive, leave)),
    )


def _why_unknown(signs: _Signs) -> str:
    if signs.sent_on:
        return (
            "packets are sent on unchanged and so are replies, as by a director in dr that is the "
            "real servers' gateway, and by any router"
        )
    if not (signs.replies or signs.resets_back):
        return (
            "no reply was captured, as where replies bypass a director (dr, tun), and as where one "
            "direction or interface alone is captured"
        )
    if signs.bypass and signs.replies_routed:
        return (
            "replies come by another MAC than requests go to, but by a router (their TTL was "
            "lowered): in dr, and in nat where routers differ by direction"
        )
    return (
        "the capture has the packets of one side alone (a client's, or a server's): dr and nat "
        "look the same there"
    )
