"""Moves the connections: segments in, segments and rows out; no socket, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from analyzer.lives import CLOSES
from loadgen.engines.closing import CLOSER_NUMBER
from loadgen.engines.packets.answers import Answers
from loadgen.engines.packets.connections import BY_FIN, FAR, GONE, SIZED, UNTOLD, Connections
from loadgen.engines.packets.frames import ACK, FIN, RST, SYN, WINDOW
from loadgen.engines.packets.ports import Pairs
from loadgen.engines.packets.script import BUSY, SETTLED, Happening, Segment, State, compiled
from loadgen.engines.rows import NONE, Row
from loadgen.engines.wording import INTERRUPTED, TIMED_OUT
from loadgen.plan import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.engines.packets.connections import Ints, UInt8s, UInt32s
    from loadgen.plan import LoadPlan

    Bools = npt.NDArray[np.bool_]

_C = {name: place for place, name in enumerate(Row._fields)}
_CLOSES_RESET = CLOSES.index("reset")
_HALF = CLOSES.index("half")
_BY_SERVER, _BY_CLIENT = CLOSER_NUMBER["server"], CLOSER_NUMBER["client"]
_BY_RESET, _BY_NOBODY = CLOSER_NUMBER["reset"], CLOSER_NUMBER["none"]

FIRST_RTO_NS, LEAST_RTO_NS, MOST_RTO_NS = 1_000_000_000, 200_000_000, 60_000_000_000
"""RFC 6298, with the least that Linux has."""

_LINGER_NS = 60_000_000_000
"""How long a server that has our FIN may keep its own side open."""

_FAILURES = {
    (State.SYN_SENT, Happening.RESET): "connection refused",
    (State.SYN_SENT, Happening.TIME_UP): TIMED_OUT["connect"],
    (State.ASKED, Happening.RESET): "connection reset by peer",
    (State.ASKED, Happening.TIME_UP): TIMED_OUT["answer"],
    (State.ASKED, Happening.FIN): "closed by the server before its answer was whole",
    (State.AWAITING_FIN, Happening.TIME_UP): TIMED_OUT["close"],
}


def _of_states(states: frozenset[State]) -> Bools:
    return np.array([state in states for state in State])


_IS_BUSY, _IS_SETTLED = _of_states(BUSY), _of_states(SETTLED)


@dataclass(slots=True)
class Seen:
    """Segments from the VIP's port to ours, as they came; every array has shape (n,).

    Attributes:
        pair: ours, that each is for.
        flags: of TCP.
        size: of the payload, bytes.
        at_ns: when it came.
        payload: the bytes of a segment by its place, as many as are at hand.
    """

    pair: Ints
    seq: UInt32s
    ack: UInt32s
    flags: UInt8s
    size: Ints
    at_ns: Ints
    payload: Callable[[int], bytes]


@dataclass(slots=True)
class Out:
    """Segments to be sent: kind, pair, and numbers; every array has shape (n,)."""

    kind: UInt8s
    pair: Ints
    seq: UInt32s
    ack: UInt32s

    def behind(self, count: int) -> Out:
        """All but the first of them."""
        return Out(self.kind[count:], self.pair[count:], self.seq[count:], self.ack[count:])


@dataclass(slots=True)
class Counts:
    """What was lost, as far as a client can know.

    Attributes:
        sent: segments, all told.
        resent: of these, segments that went again because nothing acknowledged them in time.
        old: segments that came again, or before their turn.
        unfinished: connections whose answer came and whose FIN nobody acknowledged.
    """

    sent: int = 0
    resent: int = 0
    old: int = 0
    unfinished: int = 0


class Machine:
    """All connections of a plan.

    Args:
        plan: what each of them does.
        sources: numbers of our addresses' texts.
        consumes: sequence numbers that each kind of segment takes.
        text: the number of a text.
        first_port: that each of our addresses begins with.

    Attributes:
        busy: connections that a sender waits for.
        waiting: connections whose row has not gone.
        counts: what was lost.
    """

    def __init__(
        self,
        plan: LoadPlan,
        sources: Sequence[int],
        consumes: UInt32s,
        text: Callable[[str], int],
        first_port: int,
    ) -> None:
        hold_ns = round(plan.closing.hold_s * 1e9)
        reuse_ns = None if plan.port_reuse_s is None else round(plan.port_reuse_s * 1e9)
        self.busy = self.waiting = 0
        self.counts = Counts()
        self._all = Connections(len(sources))
        self._pairs = Pairs(len(sources), reuse_ns, first=first_port)
        self._answers = Answers(heads=plan.request.method == "HEAD")
        self._next, self._send = compiled(holds=hold_ns > 0)
        self._sources = np.array(sources, np.int64)
        self._consumes = consumes
        self._text = text
        self._bounds = np.array(plan.closing.bounds)
        self._kinds = np.array([CLOSES.index(kind) for kind, _ in plan.closing.shares])
        self._timeout_ns = round(plan.timeout_s * 1e9)
        self._connect_ns = round(min(plan.connect_timeout_s, plan.timeout_s) * 1e9)
        self._spans = self._spans_of_states(hold_ns)
        self._out: list[Out] = []
        self._rows: list[Ints] = []

    # What the engine asks ----------------------------------------------------------------------

    def outgoing(self) -> Out | None:
        """All segments since this was last asked, in their order."""
        out, self._out = self._out, []
        if len(out) < 2:
            return out[0] if out else None
        return Out(
            np.concatenate([each.kind for each in out]),
            np.concatenate([each.pair for each in out]),
            np.concatenate([each.seq for each in out]),
            np.concatenate([each.ack for each in out]),
        )

    def finished(self) -> Ints | None:
        """Rows that are known to the end, since this was last asked; shape (n, WIDTH)."""
        rows, self._rows = self._rows, []
        if len(rows) < 2:
            return rows[0] if rows else None
        return np.concatenate(rows)

    @property
    def open(self) -> int:
        """Connections that have a slot."""
        return len(self._all)

    # A connection's beginning ------------------------------------------------------------------

    def begin(self, numbers: Ints, scheduled_ns: Ints, now_ns: int) -> int:
        """Begin connections; how many of them there were ports for, from the first on.

        Args:
            numbers: of the requests in the plan, shape (n,).
            scheduled_ns: when they were due, shape (n,).
            now_ns: Unix time.
        """
        pairs = self._pairs.take(len(numbers), now_ns)
        count = len(pairs)
        if not count:
            return 0
        all_, slots = self._all, self._all.take(pairs)
        places = np.searchsorted(self._bounds, numbers[:count] * GOLDEN % 1.0, side="right")
        all_.script[slots] = self._kinds[places]
        all_.state[slots] = State.SYN_SENT
        all_.una[slots] = all_.nxt[slots] = now_ns >> 12 & 0xFFFFFFFF  # RFC 9293, 3.4.1
        all_.rcv[slots] = 0
        all_.told[slots] = UNTOLD
        all_.noted[slots] = False
        all_.rto[slots] = FIRST_RTO_NS
        all_.limit[slots] = now_ns + self._connect_ns
        rows = all_.rows
        rows[slots, _C["number"]] = numbers[:count]
        rows[slots, _C["scheduled"]] = scheduled_ns[:count]
        rows[slots, _C["started"]] = now_ns
        rows[slots, _C["source"]] = self._sources[pairs >> 16]
        rows[slots, _C["port"]] = pairs & 0xFFFF
        rows[slots, _C["close"]] = all_.script[slots]
        rows[slots, _C["retransmits"]] = 0
        self.busy += count
        self.waiting += count
        self._put(slots, np.full(count, Segment.SYN, np.uint8), now_ns)
        return count

    # What comes --------------------------------------------------------------------------------

    def receive(self, seen: Seen, now_ns: int) -> int:
        """Take segments in; how many connections their senders need not wait for any more."""
        busy = self.busy
        slots = self._all.slot_of[seen.pair].astype(np.int64) - 1
        places = np.arange(len(slots))
        if slots.min(initial=0) < 0:
            self._answer_strangers(seen, np.flatnonzero(slots == GONE - 1))
            places = np.flatnonzero(slots >= 0)
            slots = slots[places]
        fin_acked = self._acknowledge(seen, places, slots)
        speaks = (seen.size[places] > 0) | ((seen.flags[places] & (SYN | FIN | RST)) > 0)
        matters = speaks | fin_acked | (self._all.state[slots] == State.SYN_SENT)
        places, slots, fin_acked = places[matters], slots[matters], fin_acked[matters]
        while len(slots):
            first = self._all.first_of_each(slots)
            if first.all():
                self._take(seen, places, slots, fin_acked, now_ns)
                break
            self._take(seen, places[first], slots[first], fin_acked[first], now_ns)
            places, slots, fin_acked = places[~first], slots[~first], fin_acked[~first]
            gone = self._all.state[slots] == State.FREE
            if gone.any():
                places, slots, fin_acked = places[~gone], slots[~gone], fin_acked[~gone]
        return busy - self.busy

    def _acknowledge(self, seen: Seen, places: Ints, slots: Ints) -> Bools:
        """Note what is acknowledged; which segments acknowledge our FIN."""
        all_ = self._all
        acked = (seen.ack[places] == all_.nxt[slots]) & (all_.unacked[slots] > 0)
        acked &= (seen.flags[places] & (ACK | RST)) == ACK
        fins = acked & (all_.unacked[slots] == Segment.FIN)
        if acked.any():
            done = slots[acked]
            all_.una[done] = all_.nxt[done]
            all_.unacked[done] = 0
            all_.resend[done] = FAR
            all_.wake[done] = all_.limit[done]
        return np.asarray(fins)

    def _take(self, seen: Seen, places: Ints, slots: Ints, fin_acked: Bools, now_ns: int) -> None:
        """Segments of different connections."""
        all_ = self._all
        flags, size = seen.flags[places], seen.size[places]
        more = fin_acked & (size > 0)
        if more.any():  # two things at once, which is seldom: one after the other
            what = np.full(int(np.count_nonzero(more)), Happening.FIN_ACKED, np.uint8)
            self._happen(slots[more], what, now_ns)
            fin_acked = fin_acked & ~more
        state = all_.state[slots]
        behind = (all_.rcv[slots] - seen.seq[places]).view(np.int32).astype(np.int64)
        fresh = size - behind
        in_turn = (behind >= 0) & (state != State.SYN_SENT)
        fin = in_turn & (fresh >= 0) & ((flags & FIN) > 0)
        data = in_turn & (fresh > 0)
        happening = np.where(data, np.uint8(Happening.DATA), np.uint8(Happening.NOTHING))
        carries = (size > 0) | ((flags & (SYN | FIN)) > 0)
        happening[carries & ~data & ~fin] = Happening.OLD
        happening[fin] = Happening.FIN
        happening[fin_acked] = Happening.FIN_ACKED
        happening[fin_acked & fin] = Happening.FIN_AND_ACKED
        opening = state == State.SYN_SENT
        if opening.any():
            self._open(seen, places, slots, opening, happening)
        resets = (flags & RST) > 0
        if resets.any():
            self._reset(seen, places, slots, resets, happening)
        moves = (data | fin) & ~resets
        if moves.any():
            step = np.where(data, fresh, 0) + fin
            all_.rcv[slots[moves]] += step[moves].astype(np.uint32)
            reading = moves & (state == State.ASKED)
            if reading.any():
                chosen = np.flatnonzero(reading)
                self._read(
                    seen,
                    places[chosen],
                    slots[chosen],
                    data[chosen],
                    fin[chosen],
                    chosen,
                    happening,
                    behind[chosen],
                )
        self.counts.old += int(np.count_nonzero(happening == Happening.OLD))
        self._happen(slots, happening, now_ns)

    def _open(
        self, seen: Seen, places: Ints, slots: Ints, opening: Bools, happening: UInt8s
    ) -> None:
        """What answers a SYN: the SYN-ACK of ours, or something of another connection."""
        all_ = self._all
        flags = seen.flags[places]
        both = (flags & (SYN | ACK | RST)) == SYN | ACK
        ours = opening & both & (seen.ack[places] == all_.nxt[slots])
        strange = opening & ~ours & ((flags & (ACK | RST)) == ACK)
        happening[opening] = Happening.NOTHING
        happening[strange] = Happening.STRANGE
        happening[ours] = Happening.SYN_ACK
        if strange.any():
            self._reply(seen, places[strange])
        opened = slots[ours]
        at_ns = seen.at_ns[places[ours]]
        all_.rcv[opened] = all_.begin[opened] = seen.seq[places[ours]] + np.uint32(1)
        all_.rows[opened, _C["connected"]] = at_ns
        self._time_round_trips(opened, at_ns)

    def _time_round_trips(self, slots: Ints, at_ns: Ints) -> None:
        """From SYN to SYN-ACK; not of a SYN that went twice, for either may be answered (Karn)."""
        rows = self._all.rows
        once = rows[slots, _C["retransmits"]] == 0
        slots, at_ns = slots[once], at_ns[once]
        rtt_ns = np.maximum(at_ns - rows[slots, _C["started"]], 1000)
        rows[slots, _C["rtt_us"]] = rtt_ns // 1000
        # RTO = SRTT + 4 RTTVAR, and the first sample makes RTTVAR half of SRTT (RFC 6298, 2.2)
        self._all.rto[slots] = np.maximum(3 * rtt_ns, LEAST_RTO_NS)

    def _reset(
        self, seen: Seen, places: Ints, slots: Ints, resets: Bools, happening: UInt8s
    ) -> None:
        """A RST counts where it was to be expected (RFC 5961, 3.2), or answers our SYN."""
        all_ = self._all
        at = (seen.seq[places] - all_.rcv[slots]).view(np.int32)
        opening = all_.state[slots] == State.SYN_SENT
        answers = ((seen.flags[places] & ACK) > 0) & (seen.ack[places] == all_.nxt[slots])
        counts = resets & np.where(opening, answers, (at >= 0) & (at < WINDOW))
        happening[resets] = Happening.NOTHING
        happening[counts] = Happening.RESET

    def _read(
        self,
        seen: Seen,
        places: Ints,
        slots: Ints,
        data: Bools,
        fin: Bools,
        chosen: Ints,
        happening: UInt8s,
        behind: Ints,
    ) -> None:
        """Answers on their way: what is known of them, and whether they are whole."""
        all_, rows = self._all, self._all.rows
        fresh = data & (rows[slots, _C["first_byte"]] == NONE)
        rows[slots[fresh], _C["first_byte"]] = seen.at_ns[places[fresh]]
        for at in np.flatnonzero(data & (all_.told[slots] == UNTOLD)).tolist():
            place, slot, skip = int(places[at]), int(slots[at]), int(behind[at])
            size = int(seen.size[place]) - skip
            answer = self._answers.read(slot, seen.payload(place)[skip:], size)
            if answer.fault:
                rows[slot, _C["error"]] = self._text(answer.fault)
                happening[chosen[at]] = Happening.BAD
                continue
            rows[slot, _C["status"]] = answer.status
            all_.head[slot] = answer.head
            if answer.ends != NONE:
                all_.ends[slot] = (int(all_.begin[slot]) + answer.ends) & 0xFFFFFFFF
            all_.told[slot] = UNTOLD if answer.later else BY_FIN if answer.ends == NONE else SIZED
        beyond = (all_.rcv[slots] - fin.astype(np.uint32) - all_.ends[slots]).view(np.int32)
        whole = (all_.told[slots] == SIZED) & (beyond >= 0)
        whole |= fin & (all_.told[slots] == BY_FIN)
        whole &= happening[chosen] != Happening.BAD
        if whole.any():
            self._whole(slots[whole], fin[whole], seen.at_ns[places[whole]])
            happening[chosen[whole]] = np.where(fin[whole], Happening.WHOLE_FIN, Happening.WHOLE)

    def _whole(self, slots: Ints, fin: Bools, at_ns: Ints) -> None:
        all_, rows = self._all, self._all.rows
        rows[slots, _C["ended"]] = at_ns
        ends = np.where(
            all_.told[slots] == SIZED, all_.ends[slots], all_.rcv[slots] - fin.astype(np.uint32)
        )
        rows[slots, _C["size"]] = (ends - all_.begin[slots]).astype(np.int64) - all_.head[slots]
        bad = rows[slots, _C["status"]] >= 400
        for slot in slots[bad].tolist():
            rows[slot, _C["error"]] = self._text(f"HTTP {rows[slot, _C['status']]}")

    def _answer_strangers(self, seen: Seen, places: Ints) -> None:
        """Of connections that are over: a FIN is acknowledged again (TIME_WAIT), the rest reset."""
        flags = seen.flags[places]
        fins = places[((flags & FIN) > 0) & ((flags & RST) == 0)]
        if len(fins):
            ack = seen.seq[fins] + seen.size[fins].astype(np.uint32) + np.uint32(1)
            kind = np.full(len(fins), Segment.ACK, np.uint8)
            self._out.append(Out(kind, seen.pair[fins], seen.ack[fins], ack))
        speaks = (seen.size[places] > 0) | ((flags & SYN) > 0)
        others = places[speaks & ((flags & (FIN | RST)) == 0)]
        if len(others):
            self._reply(seen, others)

    def _reply(self, seen: Seen, places: Ints) -> None:
        """RST by the segment's own numbers (RFC 9293, 3.10.7.1)."""
        kind = np.full(len(places), Segment.RST_BARE, np.uint8)
        nothing = np.zeros(len(places), np.uint32)
        self._out.append(Out(kind, seen.pair[places], seen.ack[places], nothing))

    # The table ---------------------------------------------------------------------------------

    def _happen(self, slots: Ints, happening: UInt8s, now_ns: int) -> None:
        """Different connections move as the table says."""
        all_ = self._all
        script, state = all_.script[slots], all_.state[slots]
        after = self._next[script, state, happening]
        sends = self._send[script, state, happening]
        all_.state[slots] = after
        fins = (happening == Happening.FIN) | (happening == Happening.WHOLE_FIN)
        fins |= happening == Happening.FIN_AND_ACKED
        if fins.any():
            self._closed_by(slots[fins], _BY_SERVER)
        moved = after != state
        if moved.any():
            self._moved(slots[moved], state[moved], after[moved], happening[moved], now_ns)
        talks = np.flatnonzero((sends > 0) & (sends < Segment.RST_BARE))
        if len(talks):
            self._put(slots[talks], sends[talks], now_ns)
        if moved.any():
            self._settle(slots[moved], state[moved], after[moved], now_ns)

    def _closed_by(self, slots: Ints, whom: int) -> None:
        rows = self._all.rows
        first = slots[rows[slots, _C["closer"]] == NONE]
        rows[first, _C["closer"]] = whom

    def _moved(
        self, slots: Ints, before: UInt8s, after: UInt8s, happening: UInt8s, now_ns: int
    ) -> None:
        """The time that their new states have, and what their rows learn."""
        all_, rows = self._all, self._all.rows
        limit = now_ns + self._spans[all_.script[slots], after]
        asked = after == State.ASKED
        if asked.any():
            limit[asked] = rows[slots[asked], _C["started"]] + self._timeout_ns
        limit[after == State.FREE] = FAR
        all_.limit[slots] = all_.wake[slots] = np.minimum(limit, FAR)
        all_.wake[slots] = np.minimum(all_.wake[slots], all_.resend[slots])
        for state, what in _FAILURES:
            failed = (before == state) & (happening == what)
            if failed.any():
                rows[slots[failed], _C["error"]] = self._text(_FAILURES[state, what])
        resets = happening == Happening.RESET
        if resets.any():
            self._closed_by(slots[resets & (before != State.SYN_SENT)], _BY_RESET)
        lost = (happening == Happening.TIME_UP) & (before >= State.FIN_WAIT_1)
        self.counts.unfinished += int(np.count_nonzero(lost & (before != State.FIN_WAIT_2)))

    def _settle(self, slots: Ints, before: UInt8s, after: UInt8s, now_ns: int) -> None:
        """Who is done: with asking, with all that a row tells, with everything."""
        all_, rows = self._all, self._all.rows
        over = _IS_BUSY[before] & ~_IS_BUSY[after]
        done = slots[over]
        self.busy -= len(done)
        well = done[rows[done, _C["ended"]] != NONE]
        ours = well[all_.state[well] != State.KEPT]
        rows[ours, _C["closed"]] = now_ns
        gone = all_.state[ours] == State.FREE
        self._closed_by(ours[gone & (all_.script[ours] == _CLOSES_RESET)], _BY_RESET)
        self._closed_by(ours[~gone & (all_.state[ours] != State.SILENT)], _BY_CLIENT)
        self._closed_by(well, _BY_NOBODY)
        settled = slots[_IS_SETTLED[after] & ~all_.noted[slots]]
        if len(settled):
            self._note(settled)
        free = slots[after == State.FREE]
        if len(free):
            self._free(free, now_ns)

    def _note(self, slots: Ints) -> None:
        self._all.noted[slots] = True
        self.waiting -= len(slots)
        self._rows.append(self._all.rows[slots])

    def _free(self, slots: Ints, now_ns: int) -> None:
        if self._answers.reads_on:
            for slot in slots.tolist():
                self._answers.forget(slot)
        self._pairs.give_back(self._all.pair[slots], now_ns)
        self._all.give_back(slots)

    def _put(self, slots: Ints, kind: UInt8s, now_ns: int) -> None:
        """New segments of different connections; what takes numbers is sent until acknowledged."""
        all_ = self._all
        seq = all_.nxt[slots]
        takes = self._consumes[kind]
        all_.nxt[slots] = seq + takes
        self._out.append(Out(kind, all_.pair[slots], seq, all_.rcv[slots]))
        self.counts.sent += len(slots)
        lasting = takes > 0
        if lasting.any():
            who = slots[lasting]
            all_.unacked[who] = kind[lasting]
            all_.resend[who] = now_ns + all_.rto[who]
            all_.wake[who] = np.minimum(all_.resend[who], all_.limit[who])

    # The clock ---------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> int:
        """See whose time has come; how many connections no sender waits for any more."""
        all_, busy = self._all, self.busy
        due = np.flatnonzero(all_.wake[: all_.used] <= now_ns)
        if not len(due):
            return 0
        up = all_.limit[due] <= now_ns
        ended = due[up]
        if len(ended):
            what = np.full(len(ended), Happening.TIME_UP, np.uint8)
            self._happen(ended, what, now_ns)
        again = due[~up]
        if len(again):
            self._send_again(again, now_ns)
        return busy - self.busy

    def _send_again(self, slots: Ints, now_ns: int) -> None:
        all_ = self._all
        kind = all_.unacked[slots]
        self._out.append(Out(kind, all_.pair[slots], all_.una[slots], all_.rcv[slots]))
        all_.rows[slots, _C["retransmits"]] += 1
        all_.rto[slots] = np.minimum(2 * all_.rto[slots], MOST_RTO_NS)
        all_.resend[slots] = now_ns + all_.rto[slots]
        all_.wake[slots] = np.minimum(all_.resend[slots], all_.limit[slots])
        self.counts.sent += len(slots)
        self.counts.resent += len(slots)

    def _spans_of_states(self, hold_ns: int) -> Ints:
        """How long each state may last, by script and state, ns."""
        spans = np.full((len(CLOSES), len(State)), FAR // 2, np.int64)
        for state in (State.ASKED, State.AWAITING_FIN, State.FIN_WAIT_1, State.CLOSING):
            spans[:, state] = self._timeout_ns
        spans[:, State.LAST_ACK] = self._timeout_ns
        spans[:, [State.HOLDING, State.HOLDING_CLOSED]] = hold_ns
        spans[:, State.FIN_WAIT_2] = _LINGER_NS
        spans[_HALF, State.FIN_WAIT_2] = FAR // 2
        return spans

    # The end -----------------------------------------------------------------------------------

    def stop(self, now_ns: int) -> None:
        """Everything ends: what has no row yet gets one; all but what was left get a RST."""
        all_ = self._all
        live = np.flatnonzero(all_.state[: all_.used] != State.FREE)
        unanswered = live[all_.rows[live, _C["ended"]] == NONE]
        all_.rows[unanswered, _C["error"]] = self._text(INTERRUPTED)
        self._note(live[~all_.noted[live]])
        self.busy = 0
        speaking = live[(all_.state[live] != State.SILENT) & (all_.state[live] != State.SYN_SENT)]
        if len(speaking):
            self._put(speaking, np.full(len(speaking), Segment.RST, np.uint8), now_ns)
        if len(live):
            all_.state[live] = State.FREE
            self._free(live, now_ns)
