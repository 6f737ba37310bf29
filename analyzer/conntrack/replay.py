"""Replay of packets through conntrack's table: entry states and expiries.

All flows advance together, one packet each, as in ``analyzer.predicted.replay``; a slow replay in
the tests says the same. The rules, from net/netfilter/nf_conntrack_proto_tcp.c of Linux 6.1
(``nf_conntrack_tcp_packet``, ``tcp_in_window``) and nf_conntrack_proto_udp.c:

* a SYN makes an entry, and so does an ACK in the middle of a connection while
  nf_conntrack_tcp_loose is on; nothing else of TCP does, any datagram does;
* a packet moves the state by the table and restarts the timeout, unless the table ignores it or
  calls it invalid: then both stay, and what was ignored is remembered;
* a SYN in TIME_WAIT or CLOSE ends the entry and makes a new one, if a FIN began the close or the
  client itself sent a reset; else it is ignored;
* a SYN-ACK that acknowledges the SYN ignored last shows that the hosts have begun anew: the same
  entry is then in SYN_RECV;
* a reset closes at once where its number is the one that the other side expects; another one
  leaves ESTABLISHED, but either way the timeout is that of CLOSE. One whose number has been
  acknowledged already is invalid. If no other answer was seen, it deletes the entry;
* a client's packet beyond its window is INVALID and so not translated: the director itself resets
  it, and that reset belongs to no entry. A reply that was translated was not INVALID: where it
  should have been, packets are missing, and the windows of its flow are judged no further;
* a packet outside of the windows moves no state and restarts no timeout, unless
  nf_conntrack_tcp_be_liberal is on or the entry began in the middle (``conntrack.windows``); a FIN
  or reset beyond them shortens a long timeout where the other side's was too;
* the timeout is nf_conntrack_tcp_timeout_max_retrans at the most after so many retransmissions or
  under a window of 0, and nf_conntrack_tcp_timeout_unacknowledged while data is not acknowledged,
  or before an entry of the middle of a connection saw an answer;
* a UDP flow has nf_conntrack_udp_timeout until 2 s after its first datagram, then, answered,
  nf_conntrack_udp_timeout_stream.

An entry expires in the jiffy that is its last packet's plus the timeout: never late, as without a
timer wheel; up to a jiffy early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.conntrack.flows import ORIGINAL, REPLY, Flows, Step, after
from analyzer.conntrack.settings import (
    FIXED,
    MAX_RETRANS,
    STREAM_AFTER_S,
    SYSCTLS,
    TIMEOUT_OF,
    UDP_STREAM,
    UDP_UNREPLIED,
    UNACKNOWLEDGED,
    ConntrackSettings,
    sysctl_by_state,
)
from analyzer.conntrack.states import (
    CLOSING,
    IGNORED,
    INVALID,
    STATES,
    TRANSITIONS,
    CtState,
    Kind,
)
from analyzer.conntrack.windows import CUT_OFF, WITHIN, follow, invalid, keep_options
from analyzer.ipvs.flow_steps import NO_ENTRY, flow_steps
from analyzer.ipvs.timers import JIFFIES_AT_BOOT_S

if TYPE_CHECKING:
    import numpy.typing as npt

    from analyzer.conntrack.versions import ConntrackLaw

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Int8s = npt.NDArray[np.int8]

_OWN = sysctl_by_state()
_CLOSE, _MAX_RETRANS, _UNACKNOWLEDGED, _UDP_STREAM, _UDP_UNREPLIED = (
    np.int8(SYSCTLS.index(name))
    for name in (TIMEOUT_OF[CtState.CLOSE], MAX_RETRANS, UNACKNOWLEDGED, UDP_STREAM, UDP_UNREPLIED)
)
_SHORTENED_S = 120.0
"""An entry that expires sooner is not shortened (``nf_tcp_handle_invalid``)."""
_IS_CLOSING = np.array([number in CLOSING for number in range(STATES)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """The packets that passed one director, by flow, then time; every array has shape (n,).

    Attributes:
        flow: ascending.
        uptime_s: of the director.
        original: from the client; else a reply.
        kind: what each counts as (``Kind``).
        sequence, acknowledgement: modulo 2^32; the latter counts where ``has_ack``.
        payload_bytes: of TCP's data.
        window: as in the header.
        window_scale: a SYN's; below 0 as in ``analyzer.conntrack.windows``.
        lost: it never got there: it changes nothing.
    """

    flow: Ints
    uptime_s: Floats
    original: Bools
    kind: Int8s
    sequence: Ints
    acknowledgement: Ints
    has_ack: Bools
    payload_bytes: Ints
    window: Ints
    window_scale: Int8s
    lost: Bools


@dataclass(frozen=True, slots=True, kw_only=True)
class ConntrackRules:
    """What a director's replay depends on.

    Attributes:
        settings: in force at the start.
        changes: later ones, each with the uptime from which it holds; ascending. A packet's timeout
            is read as it comes; what it set stays.
        law: of its kernel.
        follows_windows: False where packets are missing, without which windows cannot be known.
        hz: its jiffies per second; None where not known: entries expire at the nominal instant.
        phase_s: by how much its jiffies lag its uptime; None likewise.
    """

    settings: ConntrackSettings
    law: ConntrackLaw
    follows_windows: bool = True
    hz: int | None = None
    phase_s: float | None = None
    changes: tuple[tuple[float, ConntrackSettings], ...] = ()

    def expiry_uptime_s(self, last_packet_uptime_s: Floats, timeout_s: Floats) -> Floats:
        """When entries expire: whole jiffies after the one that the packet came in."""
        if self.hz is None or self.phase_s is None:
            return np.asarray(last_packet_uptime_s + timeout_s, dtype=np.float64)
        since_boot_s = last_packet_uptime_s - self.phase_s + JIFFIES_AT_BOOT_S
        began = np.floor(since_boot_s * self.hz) / self.hz
        return np.asarray(began + timeout_s - JIFFIES_AT_BOOT_S + self.phase_s, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """The entry after each packet; every array has shape (n,).

    Attributes:
        entry: number of the entry that the packet belongs to, from 0; NO_ENTRY if none.
        state: its CtState; NO_ENTRY if none.
        sysctl: the index in ``SYSCTLS`` of the one that this timeout is; FIXED if none.
        timeout_s: what the entry waits since the last packet that counted; NaN if none.
        expiry_uptime_s: when it expires unless another packet comes; NaN if none.
        reused: the packet ended the entry before it (port reuse).
        counted: it moved the state or restarted the timeout; else it left the entry as it was.
        killed: it deleted its entry: a reset that was the only answer.
        outside: WITHIN, LATE or BEYOND its window, as ``windows`` has them.
        assured: the entry is marked ASSURED.
    """

    entry: Ints
    state: Int8s
    sysctl: Int8s
    timeout_s: Floats
    expiry_uptime_s: Floats
    reused: Bools
    counted: Bools
    killed: Bools
    assured: Bools
    outside: Int8s


def replay(packets: Packets, rules: ConntrackRules) -> Tracked:
    """Run packets through conntrack's table."""
    starts = np.flatnonzero(np.diff(packets.flow, prepend=-1) != 0)
    walk = _Walk(packets, rules, len(starts))
    for slots, rows in flow_steps(starts, len(packets.flow)):
        walk.step(slots, rows)
    return walk.tracked()


class _Walk:
    """The flows' entries as their packets come."""

    def __init__(self, packets: Packets, rules: ConntrackRules, flows: int) -> None:
        size = len(packets.flow)
        self._packets, self._rules, self._flows = packets, rules, Flows(flows)
        in_force = [rules.settings, *(settings for _, settings in rules.changes)]
        since_s = [since_s for since_s, _ in rules.changes]
        self._at = np.searchsorted(since_s, packets.uptime_s, side="right")
        self._timeouts_s = np.array([settings.timeout_by_sysctl_s() for settings in in_force])
        self._loose = np.array([settings.loose for settings in in_force])
        lenient = not rules.follows_windows
        self._liberal = np.array([settings.liberal or lenient for settings in in_force])
        self._max_retrans = np.array([settings.max_retrans for settings in in_force])
        has_end = np.isin(packets.kind, (Kind.SYN, Kind.SYNACK, Kind.FIN))
        self._end = (packets.sequence + packets.payload_bytes + has_end) & 0xFFFFFFFF
        self._made, self._reused, self._counted, self._killed = np.zeros((4, size), dtype=bool)
        self._assured = np.zeros(size, dtype=bool)
        self._outside = np.full(size, WITHIN, dtype=np.int8)
        self._state = np.full(size, NO_ENTRY, dtype=np.int8)
        self._number = np.full(size, NO_ENTRY, dtype=np.int64)
        self._sysctl = np.full(size, FIXED, dtype=np.int8)
        self._timeout_s, self._expiry_s = np.full((2, size), np.nan)
        self._entries = 0

    def step(self, slots: Ints, rows: Ints) -> None:
        """Judge the next packet of each of these flows."""
        packets, flows = self._packets, self._flows
        expired = flows.expiry_s[slots] <= packets.uptime_s[rows]
        flows.clear(slots[expired])
        there = ~packets.lost[rows]
        step = self._step(slots, rows).only(there)
        if self._all_go_on(step):
            self._go_on(step)
        else:
            is_udp = step.kind == Kind.DATAGRAM
            self._datagrams(step.only(is_udp))
            self._segments(self._of_entries(step.only(~is_udp)))
        self._note(slots, rows)

    def tracked(self) -> Tracked:
        """The results, once every packet has been judged.

        Entries are numbered in the order of their first packets' rows.
        """
        numbers = np.full(self._entries, NO_ENTRY, dtype=np.int64)
        numbers[self._number[self._made]] = np.arange(self._entries)
        known = self._number != NO_ENTRY
        entry = np.full(len(known), NO_ENTRY, dtype=np.int64)
        entry[known] = numbers[self._number[known]]
        return Tracked(
            entry=entry,
            state=self._state,
            sysctl=self._sysctl,
            timeout_s=self._timeout_s,
            expiry_uptime_s=self._expiry_s,
            reused=self._reused,
            counted=self._counted,
            killed=self._killed,
            assured=self._assured,
            outside=self._outside,
        )

    def _step(self, slots: Ints, rows: Ints) -> Step:
        packets = self._packets
        return Step(
            slots=slots,
            rows=rows,
            kind=packets.kind[rows],
            direction=np.where(packets.original[rows], ORIGINAL, REPLY).astype(np.int8),
            sequence=packets.sequence[rows],
            end=self._end[rows],
            acknowledgement=packets.acknowledgement[rows],
            has_ack=packets.has_ack[rows],
            window=packets.window[rows],
            window_scale=packets.window_scale[rows],
            uptime_s=packets.uptime_s[rows],
        )

    def _note(self, slots: Ints, rows: Ints) -> None:
        """What is known of each entry after the packet."""
        flows = self._flows
        self._state[rows], self._number[rows] = flows.state[slots], flows.number[slots]
        self._sysctl[rows] = flows.sysctl[slots]
        self._timeout_s[rows], self._expiry_s[rows] = flows.timeout_s[slots], flows.expiry_s[slots]
        self._assured[rows] = flows.assured[slots]
        flows.clear(slots[self._killed[rows]])

    def _make(self, step: Step, state: int) -> None:
        """New entries, in a state that the packet then moves on."""
        slots = step.slots
        self._flows.clear(slots)
        self._flows.state[slots] = state
        self._flows.number[slots] = np.arange(len(slots)) + self._entries
        self._entries += len(slots)
        self._made[step.rows] = True

    def _set_to(self, step: Step, sysctl: Int8s | np.int8) -> Floats:
        """Timeouts as they were in force at each packet, seconds."""
        return np.asarray(self._timeouts_s[self._at[step.rows], sysctl], dtype=np.float64)

    def _restart(self, step: Step, sysctl: Int8s) -> None:
        timeout_s = self._set_to(step, sysctl)
        self._counted[step.rows] = True
        self._flows.sysctl[step.slots] = sysctl
        self._flows.timeout_s[step.slots] = timeout_s
        self._flows.expiry_s[step.slots] = self._rules.expiry_uptime_s(step.uptime_s, timeout_s)

    # -- open connections, of which most packets are ----------------------------------------------

    def _all_go_on(self, step: Step) -> bool:
        """Whether these are all ACKs of open and answered connections: ESTABLISHED stays."""
        flows, slots = self._flows, step.slots
        if not (step.kind == Kind.ACK).all():
            return False
        open_ones = (flows.state[slots] == CtState.ESTABLISHED) & flows.replied[slots]
        return bool((open_ones & ~flows.picked_up[slots]).all())

    def _go_on(self, step: Step) -> None:
        """What the rest would come to for such packets."""
        flows = self._flows
        step = step.only(self._follow(step) == WITHIN)
        slots = step.slots
        flows.last_kind[slots], flows.last_direction[slots] = step.kind, step.direction
        flows.assured[slots] = True
        self._restart(step, self._sysctl_of(step, flows.state[slots]))

    def _follow(self, step: Step) -> Int8s:
        """Where packets lie in their windows.

        Replies are captured as the director sent them, translated: none of them was INVALID. One
        that should have been shows that packets are missing, and its flow is not judged further.
        """
        flows, slots = self._flows, step.slots
        liberal = self._liberal[self._at[step.rows]]
        places = follow(flows, step, liberal)
        passes_late = self._rules.law.passes_late
        impossible = (step.direction == REPLY) & invalid(places, passes_late=passes_late)
        flows.lenient[slots[impossible]] = True
        places = np.where(impossible, np.int8(WITHIN), places)
        refused = invalid(places, passes_late=passes_late) & step.has_ack
        flows.refused_at[slots[refused]] = step.acknowledgement[refused]
        self._outside[step.rows] = places
        return places

    def _of_entries(self, step: Step) -> Step:
        """Without the director's own resets of what it did not translate."""
        own = (step.kind == Kind.RST) & (step.direction == REPLY)
        own &= self._flows.refused_at[step.slots] == step.sequence
        return step.only(~own)

    # -- UDP --------------------------------------------------------------------------------------

    def _datagrams(self, step: Step) -> None:
        flows, law = self._flows, self._rules.law
        fresh = flows.state[step.slots] == NO_ENTRY
        first = step.only(fresh & (step.direction == ORIGINAL))
        self._make(first, CtState.UNREPLIED)
        flows.stream_s[first.slots] = first.uptime_s + STREAM_AFTER_S
        step = step.only(flows.state[step.slots] != NO_ENTRY)
        slots, replied = step.slots, flows.replied[step.slots]
        stream = replied & (law.streams_at_once | (step.uptime_s > flows.stream_s[slots]))
        flows.assured[slots] |= replied if law.assures_at_once else stream
        flows.replied[slots] |= step.direction == REPLY
        flows.state[slots] = np.select(
            [flows.assured[slots], flows.replied[slots]],
            [np.int8(CtState.ASSURED), np.int8(CtState.REPLIED)],
            np.int8(CtState.UNREPLIED),
        )
        self._restart(step, np.where(stream, _UDP_STREAM, _UDP_UNREPLIED))

    # -- TCP --------------------------------------------------------------------------------------

    def _segments(self, step: Step) -> None:
        flows = self._flows
        self._reopen(step)
        old = self._begun(step)
        step, old = step.only(old != NO_ENTRY), old[old != NO_ENTRY]
        new = TRANSITIONS[step.direction, step.kind, old].copy()
        new[(new == CtState.SYN_SENT) & _is_over(old)] = IGNORED  # not reopened above
        in_step = (new == IGNORED) & self._acknowledges_ignored(step)
        self._get_in_step(step.only(in_step))
        old, new = (
            np.where(in_step, np.int8(state), values)
            for state, values in ((CtState.SYN_SENT, old), (CtState.SYN_RECV, new))
        )
        self._remember(step.only(new == IGNORED), old[new == IGNORED])
        challenged = self._challenged(step, old, new)
        flows.exchallenge[step.slots[challenged]] = False
        new = np.where(challenged, np.int8(IGNORED), new)
        new, unchecked = self._after_reset(step, old, new)
        both = flows.both_open[step.slots] & (step.direction == REPLY)
        both &= (step.kind == Kind.ACK) & (new == CtState.SYN_RECV)
        new = np.where(both, np.int8(CtState.ESTABLISHED), new)
        checked = np.flatnonzero((new >= 0) & ~unchecked)
        places = np.full(len(new), WITHIN, dtype=np.int8)
        is_checked = np.zeros(len(new), dtype=bool)
        is_checked[checked] = True
        places[checked] = self._follow(step.only(is_checked))
        is_invalid = invalid(places, passes_late=self._rules.law.passes_late)
        self._shorten(step.only(is_invalid))
        accepted = (new >= 0) & (places == WITHIN)
        answered = (step.direction == REPLY) & (new != INVALID) & ~is_invalid
        self._accept(step.only(accepted), old[accepted], new[accepted])
        flows.replied[step.slots[answered]] = True

    def _reopen(self, step: Step) -> None:
        """End entries that a SYN reopens; a client's SYN then finds none, and makes the next.

        A server's SYN in TIME_WAIT ends the entry too; what it makes is another flow's.
        """
        flows, slots = self._flows, step.slots
        before = flows.state[slots]
        table = TRANSITIONS[step.direction, step.kind, np.maximum(before, 0)]
        again = (before != NO_ENTRY) & (table == CtState.SYN_SENT) & _is_over(before)
        again &= flows.close_begun[slots] | (
            (flows.last_direction[slots] == step.direction) & (flows.last_kind[slots] == Kind.RST)
        )
        self._reused[step.rows[again]] = True
        flows.clear(slots[again])

    def _begun(self, step: Step) -> Int8s:
        """The state before each packet, once new entries were made; NO_ENTRY where none is."""
        flows, slots = self._flows, step.slots
        makes = (flows.state[slots] == NO_ENTRY) & (step.direction == ORIGINAL)
        loose = self._loose[self._at[step.rows]]
        makes &= (step.kind == Kind.SYN) | ((step.kind == Kind.ACK) & loose)
        first = step.only(makes)
        self._make(first, CtState.NONE)
        picked_up = first.kind == Kind.ACK
        window = np.maximum(first.window, 1)
        flows.end[ORIGINAL, first.slots] = first.end
        flows.max_window[ORIGINAL, first.slots] = window
        flows.max_end[ORIGINAL, first.slots] = first.end + np.where(picked_up, window, 0)
        flows.picked_up[first.slots] = picked_up
        keep_options(flows, first.only(~picked_up), ORIGINAL)
        return np.asarray(flows.state[slots], dtype=np.int8)

    def _acknowledges_ignored(self, step: Step) -> Bools:
        flows, slots = self._flows, step.slots
        return np.asarray(
            (step.kind == Kind.SYNACK)
            & (flows.last_kind[slots] == Kind.SYN)
            & (flows.last_direction[slots] != step.direction)
            & (step.acknowledgement == flows.last_end[slots])
        )

    def _get_in_step(self, step: Step) -> None:
        """Take over what the ignored SYN said, as if it had begun the connection."""
        flows, slots = self._flows, step.slots
        sender = flows.last_direction[slots]
        for side in (ORIGINAL, REPLY):  # the receiver begins with the packet itself
            flows.end[side, slots] = flows.max_end[side, slots] = flows.max_window[side, slots] = 0
            flows.scale[side, slots], flows.has_scale[side, slots] = 0, False
        flows.end[sender, slots] = flows.max_end[sender, slots] = flows.last_end[slots]
        flows.max_window[sender, slots] = np.maximum(flows.last_window[slots], 1)
        scale = flows.last_scale[slots]
        flows.scale[sender, slots] = np.maximum(scale, 0)
        flows.has_scale[sender, slots] = scale >= 0
        flows.exchallenge[slots] = False
        flows.close_begun[slots] = False
        flows.unacked[:, slots], flows.has_acked[:, slots] = False, False

    def _remember(self, step: Step, old: Int8s) -> None:
        flows, slots = self._flows, step.slots
        flows.last_kind[slots], flows.last_direction[slots] = step.kind, step.direction
        flows.last_sequence[slots], flows.last_end[slots] = step.sequence, step.end
        flows.last_window[slots] = step.window
        is_syn = (step.kind == Kind.SYN) & (step.direction == ORIGINAL)
        flows.exchallenge[slots] = np.where(
            is_syn, old == CtState.LAST_ACK, flows.exchallenge[slots]
        )
        flows.last_scale[slots] = np.where(is_syn, step.window_scale, flows.last_scale[slots])
        flows.lenient[slots] |= is_syn & (step.window_scale == CUT_OFF)
        flows.both_open[slots] &= ~is_syn
        challenge = (old == CtState.SYN_SENT) & (step.kind == Kind.ACK) & (step.direction == REPLY)
        flows.last_acknowledgement[slots[challenge]] = step.acknowledgement[challenge]

    def _challenged(self, step: Step, old: Int8s, new: Int8s) -> Bools:
        """ACKs that answer a SYN in LAST_ACK, and so do not acknowledge the last FIN."""
        flows, slots = self._flows, step.slots
        return np.asarray(
            (new == CtState.TIME_WAIT)
            & (old == CtState.LAST_ACK)
            & (step.kind == Kind.ACK)
            & (flows.last_direction[slots] != step.direction)
            & (flows.last_kind[slots] == Kind.SYN)
            & flows.exchallenge[slots]
        )

    def _after_reset(self, step: Step, old: Int8s, new: Int8s) -> tuple[Int8s, Bools]:
        """What resets lead to: CLOSE, ESTABLISHED as it was, or nothing; and which need no window.

        These are resets of a connection that closes already, and those that answer what was let
        through: a SYN, or an ACK for a SYN.
        """
        flows, slots = self._flows, step.slots
        other = 1 - step.direction
        closes = (step.kind == Kind.RST) & (new == CtState.CLOSE)
        judged = closes & ~_IS_CLOSING[old]
        judged &= flows.has_acked[other, slots] & (flows.last_kind[slots] != Kind.SYN)
        acked = flows.acked[other, slots]
        is_open = (old == CtState.ESTABLISHED) & flows.assured[slots]
        was_judged = judged
        judged = judged & ~((step.sequence == 0) & ~is_open)
        stale = judged & after(acked, step.sequence)
        train = flows.last_kind[slots] == Kind.ACK
        train &= flows.last_direction[slots] == step.direction
        train &= step.sequence == flows.last_end[slots]
        inexact = judged & ~stale & is_open & (step.sequence != acked) & ~train
        unchecked = closes & _IS_CLOSING[old]
        unchecked |= closes & (~was_judged | inexact) & self._answers_what_passed(step, old)
        states = np.select([stale, inexact], [np.int8(INVALID), old], new)
        return np.asarray(states, dtype=np.int8), np.asarray(unchecked & ~stale)

    def _answers_what_passed(self, step: Step, old: Int8s) -> Bools:
        flows, slots = self._flows, step.slots
        let_through = flows.replied[slots] & (flows.last_kind[slots] == Kind.SYN)
        let_through |= ~flows.assured[slots] & (flows.last_kind[slots] == Kind.ACK)
        let_through &= step.acknowledgement == flows.last_end[slots]
        challenged = (old == CtState.SYN_SENT) & (flows.last_kind[slots] == Kind.ACK)
        challenged &= flows.last_direction[slots] == REPLY
        challenged &= step.sequence == flows.last_acknowledgement[slots]
        return np.asarray(let_through | challenged)

    def _shorten(self, step: Step) -> None:
        """FINs and resets beyond their windows, on either side: what is left is not to last."""
        if not self._rules.law.passes_late:
            return
        flows = self._flows
        ends = (step.kind == Kind.FIN) | (step.kind == Kind.RST)
        step = step.only(ends & flows.assured[step.slots])
        slots, last = step.slots, flows.last_kind[step.slots]
        answers = (flows.last_direction[slots] != step.direction) & (
            (last == Kind.FIN) | (last == Kind.RST)
        )
        left_s = flows.expiry_s[slots] - step.uptime_s
        sysctl = np.full(len(slots), _UNACKNOWLEDGED, dtype=np.int8)
        long = answers & (left_s >= _SHORTENED_S) & (left_s > self._set_to(step, sysctl))
        self._restart(step.only(long), sysctl[long])
        first = ~answers
        flows.last_kind[slots[first]] = step.kind[first]
        flows.last_direction[slots[first]] = step.direction[first]

    def _accept(self, step: Step, old: Int8s, new: Int8s) -> None:
        """Move states and restart timeouts (from ``in_window`` on)."""
        flows, slots = self._flows, step.slots
        flows.last_kind[slots], flows.last_direction[slots] = step.kind, step.direction
        flows.state[slots] = new
        flows.close_begun[slots] |= (new == CtState.FIN_WAIT) & (old != new)
        flows.both_open[slots] |= new == CtState.SYN_SENT2
        sysctl = self._sysctl_of(step, new)
        replied = flows.replied[slots]
        killed = ~replied & (step.kind == Kind.RST)
        again = ~replied & (step.kind == Kind.SYN) & (old == CtState.SYN_SENT)
        again &= not self._rules.law.renews_unanswered_syn
        picked_up = ~replied & (new == CtState.ESTABLISHED)
        sysctl = self._shorter(step, sysctl, _UNACKNOWLEDGED, picked_up)
        flows.assured[slots] |= (
            replied
            & (new == CtState.ESTABLISHED)
            & ((old == CtState.SYN_RECV) | (old == CtState.ESTABLISHED))
        )
        self._restart(step.only(~again), sysctl[~again])
        self._killed[step.rows[killed]] = True
        flows.timeout_s[slots[killed]] = 0.0
        flows.expiry_s[slots[killed]] = step.uptime_s[killed]

    def _sysctl_of(self, step: Step, new: Int8s) -> Int8s:
        """The sysctl of each packet's timeout: its state's, or one that shortens it."""
        flows, slots, own = self._flows, step.slots, _OWN[new]
        unacked = flows.unacked[:, slots].any(axis=0)
        again = flows.retransmitted[slots] >= self._max_retrans[self._at[step.rows]]
        silent = flows.last_window[slots] == 0
        is_shorter = {
            limit: self._set_to(step, limit) < self._set_to(step, own)
            for limit in (_MAX_RETRANS, _UNACKNOWLEDGED)
        }
        return np.select(
            [
                again & is_shorter[_MAX_RETRANS],
                step.kind == Kind.RST,
                unacked & is_shorter[_UNACKNOWLEDGED],
                silent & is_shorter[_MAX_RETRANS],
            ],
            [_MAX_RETRANS, _CLOSE, _UNACKNOWLEDGED, _MAX_RETRANS],
            own,
        )

    def _shorter(self, step: Step, sysctl: Int8s, limit: np.int8, limited: Bools) -> Int8s:
        """Another sysctl for some packets, where it is the shorter timeout."""
        limited = limited & (self._set_to(step, limit) < self._set_to(step, sysctl))
        return np.where(limited, limit, sysctl)


def _is_over(state: Int8s) -> Bools:
    """TIME_WAIT and CLOSE, in which a SYN may begin anew."""
    return np.asarray((state == CtState.TIME_WAIT) | (state == CtState.CLOSE))
