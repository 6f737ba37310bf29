"""What segments from the server mean: each becomes a happening of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadgen.engines.packets.connections import BY_FIN, FAR, GONE, SIZED, UNTOLD
from loadgen.engines.packets.frames import ACK, FIN, RST, SYN, WINDOW
from loadgen.engines.packets.moves import COLUMN
from loadgen.engines.packets.script import Happening, Segment, State
from loadgen.engines.packets.segments import Out
from loadgen.engines.rows import NONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.engines.packets.answers import Answer, Answers
    from loadgen.engines.packets.connections import Bools, Ints, UInt8s
    from loadgen.engines.packets.moves import Moves
    from loadgen.engines.packets.segments import Seen

LEAST_RTO_NS = 200_000_000
"""Linux's; RFC 6298 would have a second."""

FALLBACK_RTO_NS = 3_000_000_000
"""After a SYN that had to go twice (RFC 6298, 5.7)."""

_STARTED, _CONNECTED, _FIRST_BYTE = (
    COLUMN[name] for name in ("started", "connected", "first_byte")
)
_ENDED, _STATUS, _SIZE = (COLUMN[name] for name in ("ended", "status", "size"))
_ERROR, _RETRANSMITS, _RTT = (COLUMN[name] for name in ("error", "retransmits", "rtt_us"))

# looked up once: a member of an enumeration costs more to name than a small array to add up
_SYN_SENT, _ASKED, _FREE = int(State.SYN_SENT), int(State.ASKED), int(State.FREE)
_NOTHING, _OLD, _RESET = int(Happening.NOTHING), int(Happening.OLD), int(Happening.RESET)
_DATA, _FIN = np.uint8(Happening.DATA), int(Happening.FIN)
_FIN_ACKED, _FIN_AND_ACKED = int(Happening.FIN_ACKED), int(Happening.FIN_AND_ACKED)
_WHOLE, _WHOLE_FIN = np.uint8(Happening.WHOLE), np.uint8(Happening.WHOLE_FIN)
_SYN_ACK, _STRANGE, _BAD = int(Happening.SYN_ACK), int(Happening.STRANGE), int(Happening.BAD)
_FIN_SEGMENT = int(Segment.FIN)


class Hearing:
    """Takes segments in.

    Args:
        moves: of the connections that the segments are for.
        answers: reads what the server says.
        text: the number of a text.
    """

    def __init__(self, moves: Moves, answers: Answers, text: Callable[[str], int]) -> None:
        self._moves = moves
        self._all = moves.all
        self._answers = answers
        self._text = text
        self._usual: tuple[bytes, Answer] | None = None

    def hear(self, seen: Seen, now_ns: int) -> None:
        """Segments in the order in which they came."""
        all_ = self._all
        slots = all_.slot_of[seen.pair].astype(np.int64) - 1
        places = np.arange(len(slots))
        if slots.min(initial=0) < 0:
            self._answer_strangers(seen, np.flatnonzero(slots == GONE - 1))
            places = np.flatnonzero(slots >= 0)
            slots = slots[places]
        fin_acked = self._acknowledge(seen, places, slots)
        speaks = (seen.size[places] > 0) | ((seen.flags[places] & (SYN | FIN | RST)) > 0)
        matters = np.flatnonzero(speaks | fin_acked | (all_.state[slots] == _SYN_SENT))
        places, slots, fin_acked = places[matters], slots[matters], fin_acked[matters]
        while len(slots):
            first = all_.first_of_each(slots)
            if first.all():
                self._take(seen, places, slots, fin_acked, now_ns)
                return
            self._take(seen, places[first], slots[first], fin_acked[first], now_ns)
            left = np.flatnonzero(~first & (all_.state[slots] != _FREE))
            places, slots, fin_acked = places[left], slots[left], fin_acked[left]

    def _acknowledge(self, seen: Seen, places: Ints, slots: Ints) -> Bools:
        """Note what is acknowledged; which segments acknowledge our FIN."""
        all_ = self._all
        unacked = all_.unacked[slots]
        acked = (seen.ack[places] == all_.nxt[slots]) & (unacked > 0)
        acked &= (seen.flags[places] & (ACK | RST)) == ACK
        done = slots[acked]
        if len(done):
            all_.una[done] = all_.nxt[done]
            all_.unacked[done] = 0
            all_.rto[done] = all_.calm_rto[done]
            all_.resend[done] = FAR
            all_.wake[done] = all_.limit[done]
        fins: Bools = acked & (unacked == _FIN_SEGMENT)
        return fins

    def _take(self, seen: Seen, places: Ints, slots: Ints, fin_acked: Bools, now_ns: int) -> None:
        """Segments of different connections."""
        all_ = self._all
        flags, size = seen.flags[places], seen.size[places]
        more = fin_acked & (size > 0)
        if more.any():  # two things at once, which is seldom: one after the other
            what = np.full(int(np.count_nonzero(more)), _FIN_ACKED, np.uint8)
            self._moves.happen(slots[more], what, now_ns)
            fin_acked = fin_acked & ~more
        state = all_.state[slots]
        behind = (all_.rcv[slots] - seen.seq[places]).view(np.int32).astype(np.int64)
        fresh = size - behind
        in_turn = (behind >= 0) & (state != _SYN_SENT)
        fin = in_turn & (fresh >= 0) & ((flags & FIN) > 0)
        data = in_turn & (fresh > 0)
        happening = data * _DATA
        happening[((size > 0) | ((flags & (SYN | FIN)) > 0)) & ~data] = _OLD
        happening[fin] = _FIN
        happening[fin_acked] = _FIN_ACKED
        happening[fin_acked & fin] = _FIN_AND_ACKED
        opening = state == _SYN_SENT
        if opening.any():
            self._open(seen, places, slots, opening, happening)
        resets = (flags & RST) > 0
        moves = data | fin
        if resets.any():
            self._reset(seen, places, slots, resets, happening)
            moves &= ~resets
        if moves.any():
            step = data * fresh + fin
            moving = slots[moves]
            all_.rcv[moving] += step[moves].astype(np.uint32)
            reading = np.flatnonzero(moves & (state == _ASKED))
            if len(reading):
                happening[reading] = self._read(
                    seen, places[reading], slots[reading], behind[reading], fin[reading]
                )
        self._moves.counts.old += int(np.count_nonzero(happening == _OLD))
        self._moves.happen(slots, happening, now_ns)

    def _open(
        self, seen: Seen, places: Ints, slots: Ints, opening: Bools, happening: UInt8s
    ) -> None:
        """What answers a SYN: the SYN-ACK of ours, or something of another connection."""
        all_ = self._all
        flags = seen.flags[places]
        right = opening & (seen.ack[places] == all_.nxt[slots])
        ours = right & ((flags & (SYN | ACK | RST)) == SYN | ACK)
        strange = opening & ~right & ((flags & (ACK | RST)) == ACK)
        happening[opening] = _NOTHING
        happening[ours] = _SYN_ACK
        if strange.any():
            happening[strange] = _STRANGE
            self._refuse(seen, places[strange])
        opened, came = slots[ours], places[ours]
        all_.rcv[opened] = all_.begin[opened] = seen.seq[came] + np.uint32(1)
        at_ns = seen.at_ns[came]
        all_.rows[opened, _CONNECTED] = at_ns
        self._time_round_trips(opened, at_ns)

    def _time_round_trips(self, slots: Ints, at_ns: Ints) -> None:
        """From SYN to SYN-ACK; not of a SYN that went twice, for either may be answered (Karn)."""
        all_, rows = self._all, self._all.rows
        once = rows[slots, _RETRANSMITS] == 0
        all_.rto[slots] = all_.calm_rto[slots] = FALLBACK_RTO_NS
        slots, at_ns = slots[once], at_ns[once]
        rtt_ns = np.maximum(at_ns - rows[slots, _STARTED], 1000)
        rows[slots, _RTT] = rtt_ns // 1000
        # RTO = SRTT + 4 RTTVAR, and the first sample makes RTTVAR half of SRTT (RFC 6298, 2.2)
        all_.rto[slots] = all_.calm_rto[slots] = np.maximum(3 * rtt_ns, LEAST_RTO_NS)

    def _reset(
        self, seen: Seen, places: Ints, slots: Ints, resets: Bools, happening: UInt8s
    ) -> None:
        """A RST counts where it was to be expected (RFC 5961, 3.2), or answers our SYN."""
        all_ = self._all
        at = (seen.seq[places] - all_.rcv[slots]).view(np.int32)
        opening = all_.state[slots] == _SYN_SENT
        answers = ((seen.flags[places] & ACK) > 0) & (seen.ack[places] == all_.nxt[slots])
        counts = resets & np.where(opening, answers, (at >= 0) & (at < WINDOW))
        happening[resets] = _NOTHING
        happening[counts] = _RESET

    def _read(self, seen: Seen, places: Ints, slots: Ints, behind: Ints, fin: Bools) -> UInt8s:
        """Answers on their way: what each segment did to its own."""
        all_, rows = self._all, self._all.rows
        data = seen.size[places] > behind
        happening = np.where(fin, np.uint8(_FIN), _DATA)
        fresh = data & (rows[slots, _FIRST_BYTE] == NONE)
        rows[slots[fresh], _FIRST_BYTE] = seen.at_ns[places[fresh]]
        untold = np.flatnonzero(data & (all_.told[slots] == UNTOLD))
        if len(untold):
            untold = untold[~self._read_usual(seen, places[untold], slots[untold], behind[untold])]
            for at in untold.tolist():
                slot, place, skip = int(slots[at]), int(places[at]), int(behind[at])
                if not self._read_one(seen, slot, place, skip):
                    happening[at] = _BAD
        told = all_.told[slots]
        beyond = (all_.rcv[slots] - fin - all_.ends[slots]).astype(np.uint32).view(np.int32)
        whole = ((told == SIZED) & (beyond >= 0)) | (fin & (told == BY_FIN))
        whole &= happening != _BAD
        if whole.any():
            self._note_whole(slots[whole], fin[whole], seen.at_ns[places[whole]])
            happening[whole] = np.where(fin[whole], _WHOLE_FIN, _WHOLE)
        return happening

    def _read_usual(self, seen: Seen, places: Ints, slots: Ints, behind: Ints) -> Bools:
        """Those that say, from the first byte on, just what the one read last said."""
        if self._usual is None:
            return np.zeros(len(slots), np.bool_)
        content, answer = self._usual
        begins = self._all.begin[slots] == seen.seq[places]
        alike = np.asarray(seen.payloads.equal(places, content) & begins & (behind == 0))
        self._tell(slots[alike], answer)
        return alike

    def _read_one(self, seen: Seen, slot: int, place: int, skip: int) -> bool:
        """A segment by itself; whether it can be read."""
        content = seen.payloads.of(place)
        size = int(seen.size[place]) - skip
        answer = self._answers.read(slot, content[skip:], size)
        if answer.fault:
            self._all.rows[slot, _ERROR] = self._text(answer.fault)
            return False
        first = int(self._all.begin[slot]) == int(seen.seq[place])
        if first and not answer.later and len(content) == size:
            self._usual = content, answer
        self._tell(np.array([slot]), answer)
        return True

    def _tell(self, slots: Ints, answer: Answer) -> None:
        all_ = self._all
        all_.rows[slots, _STATUS] = answer.status
        all_.head[slots] = answer.head
        if answer.ends != NONE:
            all_.ends[slots] = all_.begin[slots] + np.uint32(answer.ends & 0xFFFFFFFF)
        told = UNTOLD if answer.later else BY_FIN if answer.ends == NONE else SIZED
        all_.told[slots] = told

    def _note_whole(self, slots: Ints, fin: Bools, at_ns: Ints) -> None:
        all_, rows = self._all, self._all.rows
        rows[slots, _ENDED] = at_ns
        ends = np.where(all_.told[slots] == SIZED, all_.ends[slots], all_.rcv[slots] - fin)
        size = (ends.astype(np.uint32) - all_.begin[slots]).astype(np.int64)
        rows[slots, _SIZE] = size - all_.head[slots]
        status = rows[slots, _STATUS]
        for place in np.flatnonzero(status >= 400).tolist():
            rows[slots[place], _ERROR] = self._text(f"HTTP {status[place]}")

    def _answer_strangers(self, seen: Seen, places: Ints) -> None:
        """Of connections that are over: a FIN is acknowledged again (TIME_WAIT), the rest reset."""
        flags = seen.flags[places]
        fins = places[(flags & (FIN | RST)) == FIN]
        if len(fins):
            ack = seen.seq[fins] + seen.size[fins].astype(np.uint32) + np.uint32(1)
            kind = np.full(len(fins), Segment.ACK, np.uint8)
            self._moves.out.append(Out(kind, seen.pair[fins], seen.ack[fins], ack))
        speaks = (seen.size[places] > 0) | ((flags & SYN) > 0)
        others = places[speaks & ((flags & (FIN | RST)) == 0)]
        if len(others):
            self._refuse(seen, others)

    def _refuse(self, seen: Seen, places: Ints) -> None:
        """RST by the segment's own numbers (RFC 9293, 3.10.7.1)."""
        kind = np.full(len(places), Segment.RST_BARE, np.uint8)
        nothing = np.zeros(len(places), np.uint32)
        self._moves.out.append(Out(kind, seen.pair[places], seen.ack[places], nothing))
