"""Received segments: each becomes an event of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadgen.load.engines.packets.tcp.connections import BY_FIN, FAR, GONE, SIZED, UNFRAMED
from loadgen.load.engines.packets.tcp.event_table import (
    ACKNOWLEDGES,
    ADVANCES,
    EVENT,
    FIN_ACKED_FIRST,
    OPENS,
    READS,
    RESETS,
    STRANGE,
    EventTable,
)
from loadgen.load.engines.packets.tcp.script import OVER, ConnectionState, Segment, SegmentEvent
from loadgen.load.engines.packets.tcp.segments import Out
from loadgen.load.engines.packets.tcp.table import having
from loadgen.load.engines.packets.tcp.transitions import COLUMN
from loadgen.load.engines.packets.wire.frames import ACK, FIN, RST, SYN, WINDOW
from loadgen.load.engines.rows import NONE
from loadgen.load.engines.wording import status_failure

if TYPE_CHECKING:
    from loadgen.load.engines.packets.tcp.answers import ResponseFraming, ResponseReader
    from loadgen.load.engines.packets.tcp.connections import Bools, Ints, UInt32s
    from loadgen.load.engines.packets.tcp.segments import Int32s, ReceivedSegments
    from loadgen.load.engines.packets.tcp.transitions import Transitions

LEAST_RTO_NS = 200_000_000
"""Linux's; RFC 6298 would have a second."""

FALLBACK_RTO_NS = 3_000_000_000
"""After a SYN that had to go twice (RFC 6298, 5.7)."""

_STARTED, _CONNECTED, _FIRST_BYTE = (
    COLUMN[name] for name in ("started", "connected", "first_byte")
)
_ENDED, _STATUS, _SIZE = (COLUMN[name] for name in ("ended", "status", "size"))
_RETRANSMITS, _RTT = (COLUMN[name] for name in ("retransmits", "rtt_us"))

# looked up once: a member of an enumeration costs more to name than a small array to add up
_OLD, _RESET, _BAD = int(SegmentEvent.OLD), int(SegmentEvent.RESET), int(SegmentEvent.BAD)
_FIN_ACKED = int(SegmentEvent.FIN_ACKED)
_WHOLE, _WHOLE_FIN = int(SegmentEvent.WHOLE), int(SegmentEvent.WHOLE_FIN)
_ONE = np.uint32(1)
_HAS_FIN = (np.arange(256) & FIN).astype(np.uint32)
"""By flags: the number that a FIN takes."""


class Receiver:
    """Takes segments in.

    Args:
        transitions: of the connections that the segments are for.
        answers: reads what the server says.
    """

    def __init__(self, transitions: Transitions, answers: ResponseReader) -> None:
        self._transitions = transitions
        self._all = transitions.all
        self._answers = answers
        self._usual: tuple[bytes, ResponseFraming] | None = None
        self._event_table = EventTable(transitions.table)
        self._is_over = transitions.table.of_states(*OVER)
        self._is_opening = transitions.table.of_states(ConnectionState.SYN_SENT)

    def receive(self, seen: ReceivedSegments, now_ns: int) -> None:
        """Segments in the order in which they came."""
        all_ = self._all
        slots = all_.slot_of[seen.pair].astype(np.int64) - 1
        places = np.arange(len(slots))
        if slots[slots.argmin()] < 0:
            self._answer_strangers(seen, (slots == GONE - 1).nonzero()[0])
            places = (slots >= 0).nonzero()[0]
            slots = slots[places]
        while len(slots):
            first = all_.first_of_each(slots)
            if np.count_nonzero(first) == len(first):
                self._take(seen, places, slots, now_ns)
                return
            self._take(seen, places[first], slots[first], now_ns)
            left = (~first).nonzero()[0]
            left = left[~self._is_over[all_.line[slots[left]]]]
            places, slots = places[left], slots[left]

    def _take(self, seen: ReceivedSegments, places: Ints, slots: Ints, now_ns: int) -> None:
        """Segments of different connections."""
        all_, transitions = self._all, self._transitions
        flags, seq, size = seen.flags[places], seen.seq[places], seen.size[places]
        acks_all = seen.ack[places] == all_.nxt[slots]
        ahead = (seq - all_.rcv[slots]).view(np.int32)
        means = self._event_table.of(
            flags, all_.line[slots], all_.unacked[slots], acks_all, ahead, size
        )
        wanted = int(np.bitwise_or.reduce(means))
        if wanted & ACKNOWLEDGES:
            acked = slots[having(means, ACKNOWLEDGES)]
            all_.unacked[acked] = 0
            all_.resend[acked] = FAR
        event = means & EVENT
        if wanted & FIN_ACKED_FIRST:
            who = slots[having(means, FIN_ACKED_FIRST)]
            transitions.happen(who, np.full(len(who), _FIN_ACKED), now_ns)
        if wanted & (OPENS | STRANGE):
            self._open(seen, places, slots, means)
        if wanted & RESETS:
            self._reset(seen, places, slots, having(means, RESETS), event)
        if wanted & ADVANCES:
            at = having(means, ADVANCES)
            fin = _HAS_FIN[flags[at]]
            all_.rcv[slots[at]] = seq[at] + size[at].view(np.uint32) + fin
        if wanted & READS:
            at = having(means, READS)
            event[at] = self._read(seen, places[at], slots[at], -ahead[at], event[at])
        transitions.counts.old += int(np.count_nonzero(event == _OLD))
        transitions.happen(slots, event, now_ns)

    def _open(self, seen: ReceivedSegments, places: Ints, slots: Ints, means: Ints) -> None:
        """What answers a SYN: the SYN-ACK of ours, or something of another connection."""
        all_ = self._all
        strange = having(means, STRANGE)
        if len(strange):
            self._refuse(seen, places[strange])
        at = having(means, OPENS)
        opened, came = slots[at], places[at]
        all_.rcv[opened] = all_.begin[opened] = seen.seq[came] + _ONE
        all_.row[_CONNECTED][opened] = at_ns = seen.at_ns[came]
        self._time_round_trips(opened, at_ns)

    def _time_round_trips(self, slots: Ints, at_ns: Ints) -> None:
        """From SYN to SYN-ACK; not of a SYN that went twice, for either may be answered (Karn)."""
        all_, row = self._all, self._all.row
        rtt_ns = np.maximum(at_ns - row[_STARTED][slots], 1000)
        # RTO = SRTT + 4 RTTVAR, and the first sample makes RTTVAR half of SRTT (RFC 6298, 2.2)
        all_.calm_rto[slots] = np.maximum(3 * rtt_ns, LEAST_RTO_NS)
        row[_RTT][slots] = rtt_ns // 1000
        twice = slots[row[_RETRANSMITS][slots].nonzero()[0]]
        if len(twice):
            all_.calm_rto[twice] = FALLBACK_RTO_NS
            row[_RTT][twice] = NONE

    def _reset(
        self, seen: ReceivedSegments, places: Ints, slots: Ints, at: Ints, event: Ints
    ) -> None:
        """A RST counts where it was to be expected (RFC 5961, 3.2), or answers our SYN."""
        all_ = self._all
        who, came = slots[at], places[at]
        ahead = (seen.seq[came] - all_.rcv[who]).view(np.int32)
        answers = ((seen.flags[came] & ACK) > 0) & (seen.ack[came] == all_.nxt[who])
        opening = self._is_opening[all_.line[who]]
        counts = np.where(opening, answers, (ahead >= 0) & (ahead < WINDOW))
        event[at[counts]] = _RESET

    def _read(
        self, seen: ReceivedSegments, places: Ints, slots: Ints, behind: Int32s, event: Ints
    ) -> Ints:
        """Answers on their way: what each segment did to its own, more than that it came."""
        all_, first_byte = self._all, self._all.row[_FIRST_BYTE]
        fin, data = _HAS_FIN[seen.flags[places]], seen.size[places] > behind
        fresh = (data & (first_byte[slots] == NONE)).nonzero()[0]
        first_byte[slots[fresh]] = seen.at_ns[places[fresh]]
        unread = (data & (all_.framing[slots] == UNFRAMED)).nonzero()[0]
        if len(unread):
            unread = unread[~self._read_usual(seen, places[unread], slots[unread], behind[unread])]
            for at in unread.tolist():
                slot, place, skip = int(slots[at]), int(places[at]), int(behind[at])
                if not self._read_one(seen, slot, place, skip):
                    event[at] = _BAD
        framing = all_.framing[slots]
        beyond = (all_.rcv[slots] - fin - all_.ends[slots]).view(np.int32)
        whole = ((framing == SIZED) & (beyond >= 0)) | ((fin > 0) & (framing == BY_FIN))
        whole = (whole & (event != _BAD)).nonzero()[0]
        if len(whole):
            self._note_whole(slots[whole], fin[whole], seen.at_ns[places[whole]])
            event[whole] = np.where(fin[whole], _WHOLE_FIN, _WHOLE)
        return event

    def _read_usual(
        self, seen: ReceivedSegments, places: Ints, slots: Ints, behind: Int32s
    ) -> Bools:
        """Those that say, from the first byte on, just what the one read last said."""
        if self._usual is None:
            return np.zeros(len(slots), np.bool_)
        content, answer = self._usual
        begins = self._all.begin[slots] == seen.seq[places]
        alike = np.asarray(seen.payloads.equal(places, content) & begins & (behind == 0))
        self._set_framing(slots[alike.nonzero()[0]], answer)
        return alike

    def _read_one(self, seen: ReceivedSegments, slot: int, place: int, skip: int) -> bool:
        """A segment by itself; whether it can be read."""
        content = seen.payloads.of(place)
        size = int(seen.size[place]) - skip
        answer = self._answers.read(slot, content[skip:], size)
        if answer.fault:
            self._transitions.fail(slot, answer.fault)
            return False
        first = int(self._all.begin[slot]) == int(seen.seq[place])
        if first and not answer.later and len(content) == size:
            self._usual = content, answer
        self._set_framing(np.array([slot]), answer)
        return True

    def _set_framing(self, slots: Ints, answer: ResponseFraming) -> None:
        all_ = self._all
        all_.row[_STATUS][slots] = answer.status
        all_.head[slots] = answer.head
        if answer.ends != NONE:
            all_.ends[slots] = all_.begin[slots] + np.uint32(answer.ends & 0xFFFFFFFF)
        framing = UNFRAMED if answer.later else BY_FIN if answer.ends == NONE else SIZED
        all_.framing[slots] = framing

    def _note_whole(self, slots: Ints, fin: UInt32s, at_ns: Ints) -> None:
        all_, row = self._all, self._all.row
        row[_ENDED][slots] = at_ns
        ends = np.where(all_.framing[slots] == SIZED, all_.ends[slots], all_.rcv[slots] - fin)
        row[_SIZE][slots] = (ends - all_.begin[slots]).astype(np.int64) - all_.head[slots]
        status = row[_STATUS][slots]
        for place in (status >= 400).nonzero()[0].tolist():
            self._transitions.fail(int(slots[place]), status_failure(int(status[place])))

    def _answer_strangers(self, seen: ReceivedSegments, places: Ints) -> None:
        """Of connections that are over: a FIN is acknowledged again (TIME_WAIT), the rest reset."""
        flags = seen.flags[places]
        fins = places[(flags & (FIN | RST)) == FIN]
        if len(fins):
            ack = seen.seq[fins] + seen.size[fins].view(np.uint32) + _ONE
            kind = np.full(len(fins), int(Segment.ACK))
            self._transitions.out.append(Out(kind, seen.pair[fins], seen.ack[fins], ack))
        speaks = (seen.size[places] > 0) | ((flags & SYN) > 0)
        others = places[speaks & ((flags & (FIN | RST)) == 0)]
        if len(others):
            self._refuse(seen, others)

    def _refuse(self, seen: ReceivedSegments, places: Ints) -> None:
        """RST by the segment's own numbers (RFC 9293, 3.10.7.1)."""
        kind = np.full(len(places), int(Segment.RST_BARE))
        nothing = np.zeros(len(places), np.uint32)
        self._transitions.out.append(Out(kind, seen.pair[places], seen.ack[places], nothing))
