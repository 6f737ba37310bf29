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
NO_SCALE, NO_OPTIONS, CUT_OFF = -1, -2, -3
WITHIN, LATE, BEYOND = 0, 1, 2
MAXACKWINCONST = 66_000


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
    window_scale: int = NO_SCALE
    lost: bool = False

    @property
    def end(self) -> int:
        """The number after its last byte; SYN and FIN take one."""
        takes_one = self.kind in (Kind.SYN, Kind.SYNACK, Kind.FIN)
        return (self.sequence + self.payload_bytes + takes_one) % WORD


@dataclass(slots=True)
class Side:
    """``ip_ct_tcp_state``; ``maxwin`` is 0 before its first packet, ``scale`` None without one."""

    end: int = 0
    maxend: int = 0
    maxwin: int = 0
    scale: int | None = None
    maxack: int | None = None
    unacknowledged: bool = False
    close_init: bool = False

    def options(self, packet: Packet) -> None:
        """``tcp_options``."""
        if packet.window_scale == NO_OPTIONS:
            return
        self.scale = packet.window_scale if packet.window_scale >= 0 else None
        self.maxack, self.unacknowledged = None, False


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
    unjudged: bool = False
    challenge: bool = False
    simultaneous: bool = False
    stream_s: float = 0.0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    last_kind: Kind | None = None
    last_direction: int = 0
    last: tuple[int, int, int, int] = (0, 0, 0, 0)  # sequence, acknowledgement, end, window
    last_scale: int = 0
    refused_at: int | None = None
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
    outside: int = WITHIN


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
        is_reset = packet.kind is Kind.RST and packet.direction == 1
        if entry is None or (is_reset and packet.sequence == entry.refused_at):
            return self.belief(packet)
        old = entry.state
        new = int(TRANSITIONS[packet.direction, packet.kind, old])
        if new == CtState.SYN_SENT and old >= CtState.TIME_WAIT:
            new = IGNORED
        if new == IGNORED and self.gets_in_step(entry, packet):
            old, new = CtState.SYN_SENT, int(CtState.SYN_RECV)
        elif new == IGNORED:
            self.ignore(entry, packet, old)
        unchecked = packet.kind is Kind.RST and new == CtState.CLOSE
        unchecked = unchecked and self.needs_no_window(entry, packet, old)
        new = self.after_special_cases(entry, packet, old, new)
        if new < 0:
            return self.belief(packet)
        outside = WITHIN if unchecked else self.in_window(entry, packet)
        if outside == WITHIN:
            return self.accept(entry, packet, old, CtState(new))
        if outside == LATE and self.rules.law.passes_late:
            entry.seen_reply = entry.seen_reply or packet.direction == 1
            return replace(self.belief(packet), outside=outside)
        shortened = self.rules.law.passes_late and self.shortens(entry, packet)
        return replace(self.belief(packet, counted=shortened), outside=outside)

    def shortens(self, entry: Entry, packet: Packet) -> bool:
        """``nf_tcp_handle_invalid``."""
        if not entry.assured or packet.kind not in (Kind.FIN, Kind.RST):
            return False
        before = entry.last_kind in (Kind.FIN, Kind.RST)
        if entry.last_direction != packet.direction and before:
            left_s = entry.expires_s - packet.uptime_s
            if left_s < 120 or left_s <= self.settings(packet).timeouts_s[UNACKNOWLEDGED]:
                return False
            self.refresh(entry, packet, UNACKNOWLEDGED)
            return True
        entry.last_kind, entry.last_direction = packet.kind, packet.direction
        return False

    def needs_no_window(self, entry: Entry, packet: Packet, old: CtState) -> bool:
        """The ways to ``in_window`` past ``tcp_in_window``."""
        if old in CLOSING:
            return True
        maxack = entry.sides[1 - packet.direction].maxack
        if maxack is not None and entry.last_kind is not Kind.SYN:
            is_open = old is CtState.ESTABLISHED and entry.assured
            if not is_open or packet.sequence == maxack:
                return False
            in_train = entry.last_kind is Kind.ACK and entry.last_direction == packet.direction
            if in_train and packet.sequence == entry.last[2]:
                return False
        let_through = entry.seen_reply and entry.last_kind is Kind.SYN
        let_through = let_through or (not entry.assured and entry.last_kind is Kind.ACK)
        if let_through and packet.acknowledgement == entry.last[2]:
            return True
        challenged = old is CtState.SYN_SENT and entry.last_kind is Kind.ACK
        return challenged and entry.last_direction == 1 and packet.sequence == entry.last[1]

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
            side = entry.sides[0]
            side.end = side.maxend = packet.end
            side.maxwin = packet.window or 1
            entry.liberal = packet.kind is Kind.ACK
            if entry.liberal:
                side.maxend += side.maxwin
            else:
                self.options(entry, side, packet)
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
        side = entry.sides[entry.last_direction]
        side.end = side.maxend = end
        side.maxwin = entry.last[3] or 1
        side.scale = entry.last_scale if entry.last_scale >= 0 else None
        entry.challenge = False
        return True

    def options(self, entry: Entry, side: Side, packet: Packet) -> None:
        """Those of a SYN; where they were cut off, nothing is judged by windows."""
        entry.unjudged = entry.unjudged or packet.window_scale == CUT_OFF
        side.options(packet)

    def ignore(self, entry: Entry, packet: Packet, old: CtState) -> None:
        """Remember what was ignored."""
        entry.last_kind, entry.last_direction = packet.kind, packet.direction
        entry.last = (packet.sequence, entry.last[1], packet.end, packet.window)
        if packet.kind is Kind.SYN and packet.direction == 0:
            entry.simultaneous = False
            entry.challenge = old is CtState.LAST_ACK
            entry.last_scale = packet.window_scale
            entry.unjudged = entry.unjudged or packet.window_scale == CUT_OFF
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

    def in_window(self, entry: Entry, packet: Packet) -> int:
        """``tcp_in_window``."""
        if self.begins(entry, packet):
            return WITHIN
        sender, receiver = entry.sides[packet.direction], entry.sides[1 - packet.direction]
        sequence, end, ack = packet.sequence, packet.end, packet.acknowledgement
        if not packet.has_ack or (packet.kind is Kind.RST and ack == 0):
            ack = receiver.end
        if packet.kind is Kind.RST and sequence == 0 and entry.state is CtState.SYN_SENT:
            sequence = end = sender.end
        place = self.place(sender, receiver, (sequence, end, ack))
        if place == WITHIN:
            self.keep(entry, packet, end, ack)
        is_liberal = entry.liberal or entry.unjudged or self.settings(packet).liberal
        if is_liberal or not self.rules.follows_windows:
            return WITHIN
        is_invalid = place == BEYOND or (place == LATE and not self.rules.law.passes_late)
        if is_invalid and packet.direction == 1:
            entry.unjudged = True  # it was seen translated: packets are missing
            return WITHIN
        if is_invalid and packet.has_ack:
            entry.refused_at = packet.acknowledgement
        return place

    def begins(self, entry: Entry, packet: Packet) -> bool:
        """Its first part: what a side's first packet begins; whether it is accepted at once."""
        sender, receiver = entry.sides[packet.direction], entry.sides[1 - packet.direction]
        is_syn = packet.kind in (Kind.SYN, Kind.SYNACK)
        handshake = entry.state in (CtState.SYN_SENT, CtState.SYN_RECV)
        if sender.maxwin == 0 and is_syn:
            self.init_sender(entry, packet)
            return not packet.has_ack
        if sender.maxwin == 0:
            sender.end = packet.end
            sender.maxwin = (packet.window << (sender.scale or 0)) or 1
            sender.maxend = packet.end + sender.maxwin
            if receiver.maxwin == 0:
                receiver.end = receiver.maxend = packet.acknowledgement
            elif packet.acknowledgement == (receiver.end + 1) % WORD:
                receiver.end = packet.acknowledgement
        elif is_syn and is_after(packet.end, sender.end) and handshake:
            self.init_sender(entry, packet)
            return packet.direction == 1 and not packet.has_ack
        return False

    def place(self, sender: Side, receiver: Side, numbers: tuple[int, int, int]) -> int:
        """Its judgement of sequence number, end and acknowledgement."""
        sequence, end, ack = numbers
        in_recv_win = is_after(end, sender.end - receiver.maxwin - 1)
        ack_ok = is_after(ack, receiver.end - max(sender.maxwin, MAXACKWINCONST) - 1)
        was_sent = is_after(receiver.end + 1, ack)
        if not is_after(sender.maxend + 1, sequence):
            overshot = (end - sender.maxend + 1) % WORD
            is_small = in_recv_win and receiver.maxwin > 0 and overshot <= receiver.maxwin
            if is_small and ack_ok and was_sent:
                sender.end, sender.unacknowledged = end, True
                return LATE
            return BEYOND
        if not was_sent:
            return BEYOND
        return WITHIN if ack_ok and (in_recv_win or not receiver.maxwin) else LATE

    def init_sender(self, entry: Entry, packet: Packet) -> None:
        """``tcp_init_sender``."""
        sender, receiver = entry.sides[packet.direction], entry.sides[1 - packet.direction]
        sender.end = sender.maxend = packet.end
        sender.maxwin = packet.window or 1
        self.options(entry, sender, packet)
        both_scale = sender.scale is not None and receiver.scale is not None
        if packet.direction == 1 and not both_scale:
            for side in (sender, receiver):  # the scale alone: that it has one stays
                side.scale = None if side.scale is None else 0

    def keep(self, entry: Entry, packet: Packet, end: int, ack: int) -> None:
        """What a packet within its window changes."""
        sender, receiver = entry.sides[packet.direction], entry.sides[1 - packet.direction]
        is_syn = packet.kind in (Kind.SYN, Kind.SYNACK)
        win = packet.window if is_syn else packet.window << (sender.scale or 0)
        sender.maxwin = max(sender.maxwin, win)
        if is_after(end, sender.end):
            sender.end, sender.unacknowledged = end, True
        if packet.has_ack and (sender.maxack is None or is_after(ack, sender.maxack)):
            sender.maxack = ack
        if receiver.maxwin and is_after(end, sender.maxend):
            receiver.maxwin += (end - sender.maxend) % WORD
        if is_after(ack + win, receiver.maxend - 1):
            receiver.maxend = (ack + win + (win == 0)) % WORD
        if ack == receiver.end:
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
