"""The replay again, slow and obvious: one packet at a time, in the kernel's order.

``analyzer.conntrack.replay`` does the same for all connections at once; ``test_replay`` holds them
equal. Read this one to learn the law (``nf_conntrack_tcp_packet``, ``tcp_in_window``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analyzer.conntrack.settings import MAX_RETRANS, TIMEOUT_OF, UNACKNOWLEDGED
from analyzer.conntrack.states import CLOSING, IGNORED, INVALID, TRANSITIONS, CtState, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analyzer.conntrack.replay import ConntrackRules
    from analyzer.conntrack.settings import ConntrackSettings

WORD = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet of a flow; ``direction`` 0 is from the client."""

    flow: int
    uptime_s: float
    direction: int
    kind: Kind
    sequence: int = 0
    acknowledgement: int = 0
    has_ack: bool = False
    payload_bytes: int = 0
    window: int = 8192
    lost: bool = False

    @property
    def end(self) -> int:
        """The number after its last byte; SYN and FIN take one."""
        takes_one = self.kind in (Kind.SYN, Kind.SYNACK, Kind.FIN)
        return (self.sequence + self.payload_bytes + takes_one) % WORD


@dataclass(slots=True)
class Side:
    """``ip_ct_tcp_state``, windows aside; ``end`` is None before its first packet."""

    end: int | None = None
    maxack: int | None = None
    unacknowledged: bool = False
    close_init: bool = False


@dataclass(slots=True, kw_only=True)
class Entry:
    """``struct nf_conn``, as far as it matters."""

    number: int
    state: CtState
    expires_s: float = 0.0
    sysctl: str | None = None
    timeout_s: float = 0.0
    seen_reply: bool = False
    assured: bool = False
    liberal: bool = False
    challenge: bool = False
    simultaneous: bool = False
    stream_s: float = 0.0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    last_kind: Kind | None = None
    last_direction: int = 0
    last: tuple[int, int, int, int] = (0, 0, 0, 0)  # sequence, acknowledgement, end, window
    retransmitted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """After a packet: its entry, None if none, and whether it counted."""

    entry: int | None = None
    state: CtState | None = None
    sysctl: str | None = None
    timeout_s: float | None = None
    expires_s: float | None = None
    assured: bool = False
    counted: bool = False
    reused: bool = False
    killed: bool = False


class Conntrack:
    """The table of one director."""

    def __init__(self, rules: ConntrackRules) -> None:
        self.rules = rules
        self.entries: dict[int, Entry] = {}
        self.made = 0

    def settings(self, packet: Packet) -> ConntrackSettings:
        """Those in force as a packet comes."""
        known = [later for since_s, later in self.rules.changes if since_s <= packet.uptime_s]
        return known[-1] if known else self.rules.settings

    def replay(self, packets: Iterable[Packet]) -> Iterator[Belief]:
        """What is believed after each packet; packets of all flows in order of time."""
        for packet in packets:
            entry = self.entries.get(packet.flow)
            if entry is not None and entry.expires_s <= packet.uptime_s:
                del self.entries[packet.flow]
            if packet.lost:
                yield self.belief(packet)
            elif packet.kind is Kind.DATAGRAM:
                yield self.datagram(packet)
            else:
                yield self.segment(packet)

    def belief(self, packet: Packet, *, counted: bool = False) -> Belief:
        """The flow's entry as it is."""
        entry = self.entries.get(packet.flow)
        if entry is None:
            return Belief()
        return Belief(
            entry=entry.number,
            state=entry.state,
            sysctl=entry.sysctl,
            timeout_s=entry.timeout_s,
            expires_s=entry.expires_s,
            assured=entry.assured,
            counted=counted,
        )

    def make(self, packet: Packet, state: CtState) -> Entry:
        """A new entry."""
        entry = self.entries[packet.flow] = Entry(number=self.made, state=state)
        self.made += 1
        return entry

    def refresh(self, entry: Entry, packet: Packet, sysctl: str | None) -> None:
        """``nf_ct_refresh_acct``; without a sysctl it is SYN_SENT2's 120 s."""
        rules = self.rules
        timeout_s = self.settings(packet).timeouts_s[sysctl] if sysctl else 120.0
        entry.sysctl = sysctl
        entry.timeout_s, entry.expires_s = timeout_s, packet.uptime_s + timeout_s
        if rules.hz is not None and rules.phase_s is not None:
            jiffies = int((packet.uptime_s - rules.phase_s + 300) * rules.hz // 1)
            entry.expires_s = jiffies / rules.hz - 300 + rules.phase_s + timeout_s

    def datagram(self, packet: Packet) -> Belief:
        """``nf_conntrack_udp_packet``."""
        entry = self.entries.get(packet.flow)
        if entry is None:
            if packet.direction:
                return self.belief(packet)
            entry = self.make(packet, CtState.UNREPLIED)
            entry.stream_s = packet.uptime_s + 2
        stream = entry.seen_reply
        if not self.rules.law.streams_at_once:
            stream = stream and packet.uptime_s > entry.stream_s
        if entry.seen_reply and (stream or self.rules.law.assures_at_once):
            entry.assured = True
        name = "nf_conntrack_udp_timeout_stream" if stream else "nf_conntrack_udp_timeout"
        self.refresh(entry, packet, name)
        entry.seen_reply = entry.seen_reply or packet.direction == 1
        entry.state = CtState.REPLIED if entry.seen_reply else CtState.UNREPLIED
        if entry.assured:
            entry.state = CtState.ASSURED
        return self.belief(packet, counted=True)

    def segment(self, packet: Packet) -> Belief:
        """``nf_conntrack_tcp_packet``; a SYN that reopens is looked up again (NF_REPEAT)."""
        entry = self.entries.get(packet.flow)
        if entry is not None and self.reopens(entry, packet):
            del self.entries[packet.flow]
            return replace(self.segment(packet), reused=True)
        if entry is None:
            entry = self.new(packet)
        if entry is None:
            return self.belief(packet)
        old = entry.state
        new = int(TRANSITIONS[packet.direction, packet.kind, old])
        if new == CtState.SYN_SENT and old >= CtState.TIME_WAIT:
            new = IGNORED
        if new == IGNORED and self.gets_in_step(entry, packet):
            old, new = CtState.SYN_SENT, int(CtState.SYN_RECV)
        elif new == IGNORED:
            self.ignore(entry, packet, old)
        new = self.after_special_cases(entry, packet, old, new)
        if new < 0:
            return self.belief(packet)
        if packet.kind is not Kind.RST or old not in CLOSING:
            self.follow(entry, packet)
        return self.accept(entry, packet, old, CtState(new))

    def after_special_cases(self, entry: Entry, packet: Packet, old: CtState, new: int) -> int:
        """What the table cannot say."""
        if new == CtState.TIME_WAIT and self.is_challenge(entry, packet, old):
            entry.challenge = False
            entry.seen_reply = entry.seen_reply or packet.direction == 1
            return IGNORED
        if new == CtState.SYN_SENT2:
            entry.simultaneous = True
        if new == CtState.SYN_RECV and packet.direction and packet.kind is Kind.ACK:
            return CtState.ESTABLISHED if entry.simultaneous else new
        if packet.kind is Kind.RST and new == CtState.CLOSE:
            return self.reset(entry, packet, old)
        return new

    def reopens(self, entry: Entry, packet: Packet) -> bool:
        """A SYN in TIME_WAIT or CLOSE that the kernel makes a new entry for."""
        if entry.state not in (CtState.TIME_WAIT, CtState.CLOSE):
            return False
        if TRANSITIONS[packet.direction, packet.kind, entry.state] != CtState.SYN_SENT:
            return False
        closed = any(side.close_init for side in entry.sides)
        return closed or (entry.last_direction == packet.direction and entry.last_kind is Kind.RST)

    def new(self, packet: Packet) -> Entry | None:
        """``tcp_new``."""
        if packet.direction:
            return None
        if packet.kind is Kind.SYN or (packet.kind is Kind.ACK and self.settings(packet).loose):
            entry = self.make(packet, CtState.NONE)
            entry.sides[0].end = packet.end
            entry.liberal = packet.kind is Kind.ACK
            return entry
        return None

    def gets_in_step(self, entry: Entry, packet: Packet) -> bool:
        """b) a SYN-ACK that acknowledges a SYN that was ignored."""
        _, _, end, _ = entry.last
        if not (
            packet.kind is Kind.SYNACK
            and entry.last_kind is Kind.SYN
            and entry.last_direction != packet.direction
            and packet.acknowledgement == end
        ):
            return False
        entry.sides = (Side(), Side())
        entry.sides[entry.last_direction].end = end
        entry.challenge = False
        return True

    def ignore(self, entry: Entry, packet: Packet, old: CtState) -> None:
        """Remember what was ignored."""
        entry.last_kind, entry.last_direction = packet.kind, packet.direction
        entry.last = (packet.sequence, entry.last[1], packet.end, packet.window)
        if packet.kind is Kind.SYN and packet.direction == 0:
            entry.simultaneous = False
            entry.challenge = old is CtState.LAST_ACK
        if old is CtState.SYN_SENT and packet.kind is Kind.ACK and packet.direction:
            entry.last = (packet.sequence, packet.acknowledgement, packet.end, packet.window)
        entry.seen_reply = entry.seen_reply or packet.direction == 1

    def is_challenge(self, entry: Entry, packet: Packet, old: CtState) -> bool:
        """RFC 5961: an ACK that answers a SYN, not a FIN."""
        return (
            old is CtState.LAST_ACK
            and packet.kind is Kind.ACK
            and entry.last_direction != packet.direction
            and entry.last_kind is Kind.SYN
            and entry.challenge
        )

    def reset(self, entry: Entry, packet: Packet, old: CtState) -> int:
        """Whether a reset is believed."""
        maxack = entry.sides[1 - packet.direction].maxack
        if old in CLOSING or maxack is None or entry.last_kind is Kind.SYN:
            return CtState.CLOSE
        is_open = old is CtState.ESTABLISHED and entry.assured
        if packet.sequence == 0 and not is_open:
            return CtState.CLOSE
        if is_after(maxack, packet.sequence):
            return INVALID
        if not is_open or packet.sequence == maxack:
            return CtState.CLOSE
        in_train = entry.last_kind is Kind.ACK and entry.last_direction == packet.direction
        if in_train and packet.sequence == entry.last[2]:
            return CtState.CLOSE
        return old

    def follow(self, entry: Entry, packet: Packet) -> None:
        """``tcp_in_window``, every packet being in it."""
        sender, receiver = entry.sides[packet.direction], entry.sides[1 - packet.direction]
        if entry.liberal and receiver.end is None:
            return  # of what it acknowledges nothing was seen
        acknowledgement = packet.acknowledgement
        if not packet.has_ack or (packet.kind is Kind.RST and acknowledgement == 0):
            acknowledgement = receiver.end or 0
        handshake = entry.state in (CtState.SYN_SENT, CtState.SYN_RECV)
        is_syn = packet.kind in (Kind.SYN, Kind.SYNACK)
        if sender.end is None or (is_syn and handshake and is_after(packet.end, sender.end)):
            sender.end = packet.end
        if is_after(packet.end, sender.end):
            sender.end = packet.end
            sender.unacknowledged = True
        if packet.has_ack and (sender.maxack is None or is_after(acknowledgement, sender.maxack)):
            sender.maxack = acknowledgement
        if acknowledgement == (receiver.end or 0):
            receiver.unacknowledged = False
        if packet.kind is Kind.ACK:
            this = (packet.sequence, packet.acknowledgement, packet.end, packet.window)
            same = entry.last == this and entry.last_direction == packet.direction
            entry.retransmitted = entry.retransmitted + 1 if same else 0
            entry.last = this

    def accept(self, entry: Entry, packet: Packet, old: CtState, new: CtState) -> Belief:
        """From ``in_window`` on."""
        law = self.rules.law
        entry.last_kind, entry.last_direction = packet.kind, packet.direction
        entry.state = new
        if old != new and new is CtState.FIN_WAIT:
            entry.sides[packet.direction].close_init = True
        sysctl = self.sysctl(entry, packet)
        if not entry.seen_reply:
            if packet.kind is Kind.RST:
                del self.entries[packet.flow]
                return Belief(
                    entry=entry.number,
                    state=new,
                    sysctl=entry.sysctl,
                    timeout_s=0.0,
                    expires_s=packet.uptime_s,
                    assured=entry.assured,
                    counted=True,
                    killed=True,
                )
            is_again = packet.kind is Kind.SYN and old is CtState.SYN_SENT
            if is_again and not law.renews_unanswered_syn:
                entry.seen_reply = packet.direction == 1
                return self.belief(packet)
            if new is CtState.ESTABLISHED:
                sysctl = self.shortest(packet, sysctl, UNACKNOWLEDGED)
        elif new is CtState.ESTABLISHED and old in (CtState.SYN_RECV, CtState.ESTABLISHED):
            entry.assured = True
        self.refresh(entry, packet, sysctl)
        entry.seen_reply = entry.seen_reply or packet.direction == 1
        return self.belief(packet, counted=True)

    def sysctl(self, entry: Entry, packet: Packet) -> str | None:
        """The sysctl of the state's timeout, or one that shortens it."""
        own = TIMEOUT_OF.get(entry.state)
        if entry.retransmitted >= self.settings(packet).max_retrans:
            shortest = self.shortest(packet, own, MAX_RETRANS)
            if shortest != own:
                return shortest
        if packet.kind is Kind.RST:
            return TIMEOUT_OF[CtState.CLOSE]
        if any(side.unacknowledged for side in entry.sides):
            shortest = self.shortest(packet, own, UNACKNOWLEDGED)
            if shortest != own:
                return shortest
        return self.shortest(packet, own, MAX_RETRANS) if entry.last[3] == 0 else own

    def shortest(self, packet: Packet, own: str | None, limit: str) -> str | None:
        """Another sysctl, if it is the shorter timeout."""
        timeouts_s = self.settings(packet).timeouts_s
        return limit if timeouts_s[limit] < (timeouts_s[own] if own else 120.0) else own


def is_after(number: int, other: int) -> bool:
    """Whether a sequence number comes after another."""
    return 0 < (number - other) % WORD < WORD // 2 + 1
