"""The table at work: what has happened gives connections their state, segments and rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.lives import CLOSES
from loadgen.engines.closing import CLOSER_NUMBER, FIRST_TO_CLOSE
from loadgen.engines.packets import script
from loadgen.engines.packets.connections import FAR, Connections
from loadgen.engines.packets.ports import Pairs
from loadgen.engines.packets.script import BUSY, HOLDS, SETTLED, Happening, Segment, State
from loadgen.engines.packets.segments import Out
from loadgen.engines.rows import NONE, Row
from loadgen.engines.wording import TIMED_OUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.engines.packets.answers import Answers
    from loadgen.engines.packets.connections import Bools, Ints, UInt8s, UInt32s
    from loadgen.plan import LoadPlan

COLUMN = {name: place for place, name in enumerate(Row._fields)}
"""Of ``Connections.rows``."""

_STARTED, _ENDED, _CLOSED = (COLUMN[name] for name in ("started", "ended", "closed"))
_ERROR, _CLOSER, _RETRANSMITS = (COLUMN[name] for name in ("error", "closer", "retransmits"))
_NUMBER = COLUMN["number"]

_HALF, _SERVER = CLOSES.index("half"), CLOSES.index("server")
_BY_SERVER, _BY_RESET = CLOSER_NUMBER["server"], CLOSER_NUMBER["reset"]
_BY_NOBODY = CLOSER_NUMBER["none"]
_WHOM = np.array([FIRST_TO_CLOSE[close] for close in CLOSES])
_WHOM[_SERVER] = _BY_RESET  # one that was asked to close and did not

# looked up once: a member of an enumeration costs more to name than a small array to add up
_FREE, _SYN_SENT, _ASKED = int(State.FREE), int(State.SYN_SENT), int(State.ASKED)
_KEPT, _SILENT = int(State.KEPT), int(State.SILENT)
_RESET, _TIME_UP = int(Happening.RESET), int(Happening.TIME_UP)
_RST_BARE = int(Segment.RST_BARE)

MOST_RTO_NS = 60_000_000_000
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


def _of(*happenings: Happening) -> Bools:
    return np.array([happening in happenings for happening in Happening])


_IS_BUSY, _IS_SETTLED = _of_states(BUSY), _of_states(SETTLED)
_IS_HELD = _of_states(frozenset(HOLDS))
_HAS_FIN = _of(Happening.FIN, Happening.WHOLE_FIN, Happening.FIN_AND_ACKED)
_FAILS = np.zeros((len(State), len(Happening)), np.bool_)
for place in _FAILURES:
    _FAILS[place] = True
_LOSES = np.zeros((len(State), len(Happening)), np.bool_)
_LOSES[[State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK], Happening.TIME_UP] = True


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


class Moves:
    """Moves connections, and gathers the segments and the rows that come of it.

    Args:
        plan: what each of them does.
        sources: how many addresses we have.
        consumes: sequence numbers that each kind of segment takes.
        first_port: that each of our addresses begins with.
        answers: what is known of answers, forgotten with their connections.
        text: the number of a text.

    Attributes:
        busy: connections that a sender waits for.
        waiting: connections whose row has not gone.
        out: segments to be sent.
        rows: rows that are known to the end.
        timeout_ns: for an answer, and for the end of a close.
    """

    def __init__(
        self,
        plan: LoadPlan,
        sources: int,
        consumes: UInt32s,
        first_port: int,
        answers: Answers,
        text: Callable[[str], int],
    ) -> None:
        self._hold = plan.closing.hold if plan.closing.hold.mean_s else None
        reuse_ns = None if plan.port_reuse_s is None else round(plan.port_reuse_s * 1e9)
        self.busy = self.waiting = 0
        self.counts = Counts()
        self.all = Connections(sources)
        self.pairs = Pairs(sources, reuse_ns, first=first_port)
        self.out: list[Out] = []
        self.rows: list[Ints] = []
        self.timeout_ns = round(plan.timeout_s * 1e9)
        self._answers = answers
        self._text = text
        self._next, self._send = script.compiled(holds=self._hold is not None)
        self._consumes = consumes
        self._spans = self._spans_of_states()

    def happen(self, slots: Ints, happening: UInt8s, now_ns: int) -> None:
        """Different connections move as the table says."""
        all_ = self.all
        by_script, state = all_.script[slots], all_.state[slots]
        after = self._next[by_script, state, happening]
        sends = self._send[by_script, state, happening]
        all_.state[slots] = after
        fins = _HAS_FIN[happening]
        if fins.any():
            self._closed_by(slots[fins], _BY_SERVER)
        moved = np.flatnonzero(after != state)
        if len(moved):
            who, before, now = slots[moved], state[moved], after[moved]
            self._time_states(who, before, now, now_ns)
            self._note_failures(who, before, happening[moved])
        talks = np.flatnonzero((sends > 0) & (sends < _RST_BARE))
        if len(talks):
            self.put(slots[talks], sends[talks], now_ns)
        if len(moved):
            self._settle(who, before, now, now_ns)

    def put(self, slots: Ints, kind: UInt8s, now_ns: int) -> None:
        """New segments of different connections; what takes numbers is sent until acknowledged."""
        all_ = self.all
        seq = all_.nxt[slots]
        takes = self._consumes[kind]
        all_.nxt[slots] = seq + takes
        self.out.append(Out(kind, all_.pair[slots], seq, all_.rcv[slots]))
        self.counts.sent += len(slots)
        lasting = np.flatnonzero(takes)
        if len(lasting):
            who = slots[lasting]
            all_.unacked[who] = kind[lasting]
            all_.resend[who] = resend = now_ns + all_.rto[who]
            all_.wake[who] = np.minimum(resend, all_.limit[who])

    def put_again(self, slots: Ints, now_ns: int) -> None:
        """The segments that nothing has acknowledged; and wait twice as long (RFC 6298, 5.5)."""
        all_ = self.all
        self.out.append(
            Out(all_.unacked[slots], all_.pair[slots], all_.una[slots], all_.rcv[slots])
        )
        all_.rows[slots, _RETRANSMITS] += 1
        all_.rto[slots] = np.minimum(2 * all_.rto[slots], MOST_RTO_NS)
        all_.resend[slots] = now_ns + all_.rto[slots]
        all_.wake[slots] = np.minimum(all_.resend[slots], all_.limit[slots])
        self.counts.sent += len(slots)
        self.counts.resent += len(slots)

    def note(self, slots: Ints) -> None:
        """Their rows go."""
        self.all.noted[slots] = True
        self.waiting -= len(slots)
        self.rows.append(self.all.rows[slots])

    def free(self, slots: Ints, now_ns: int) -> None:
        """Nothing of them can come any more."""
        if self._answers.reads_on:
            for slot in slots.tolist():
                self._answers.forget(slot)
        self.pairs.give_back(self.all.pair[slots], now_ns)
        self.all.give_back(slots)

    def _time_states(self, slots: Ints, before: UInt8s, after: UInt8s, now_ns: int) -> None:
        """How long they may be where they are now."""
        all_ = self.all
        limit = now_ns + self._spans[all_.script[slots], after]
        asked = np.flatnonzero(after == _ASKED)
        if len(asked):
            limit[asked] = all_.rows[slots[asked], _STARTED] + self.timeout_ns
        if self._hold is not None:
            held = np.flatnonzero(_IS_HELD[after] & ~_IS_HELD[before])
            limit[held] = now_ns + self._hold.ns_of(all_.rows[slots[held], _NUMBER])
            still = np.flatnonzero(_IS_HELD[after] & _IS_HELD[before])
            limit[still] = all_.limit[slots[still]]
        all_.limit[slots] = limit
        all_.wake[slots] = np.minimum(limit, all_.resend[slots])

    def _note_failures(self, slots: Ints, before: UInt8s, happening: UInt8s) -> None:
        failed = _FAILS[before, happening]
        for place in np.flatnonzero(failed).tolist():
            why = _FAILURES[State(before[place]), Happening(happening[place])]
            self.all.rows[slots[place], _ERROR] = self._text(why)
        resets = happening == _RESET
        if resets.any():
            self._closed_by(slots[resets & (before != _SYN_SENT)], _BY_RESET)
        self.counts.unfinished += int(np.count_nonzero(_LOSES[before, happening]))

    def _closed_by(self, slots: Ints, whom: int) -> None:
        rows = self.all.rows
        first = slots[rows[slots, _CLOSER] == NONE]
        rows[first, _CLOSER] = whom

    def _settle(self, slots: Ints, before: UInt8s, after: UInt8s, now_ns: int) -> None:
        """Who is done: with asking, with all that a row tells, with everything."""
        over = np.flatnonzero(_IS_BUSY[before] & ~_IS_BUSY[after])
        if len(over):
            self.busy -= len(over)
            self._end(slots[over], after[over], now_ns)
        settled = slots[_IS_SETTLED[after]]
        if len(settled):
            new = settled[~self.all.noted[settled]]
            if len(new):
                self.note(new)
        free = slots[after == _FREE]
        if len(free):
            self.free(free, now_ns)

    def _end(self, slots: Ints, after: UInt8s, now_ns: int) -> None:
        """Rows of those whose answer is there or not wanted: when we closed, who was first."""
        rows = self.all.rows
        well = rows[slots, _ENDED] != NONE
        if not well.all():
            well |= rows[slots, _ERROR] == NONE
            rows[slots[well & (rows[slots, _ENDED] == NONE)], _ENDED] = now_ns
        closed = well & (after != _KEPT)
        rows[slots[closed], _CLOSED] = now_ns
        whom = np.where(
            (after == _KEPT) | (after == _SILENT),
            _BY_NOBODY,
            _WHOM[self.all.script[slots]],
        )
        first = well & (rows[slots, _CLOSER] == NONE)
        rows[slots[first], _CLOSER] = whom[first]

    def _spans_of_states(self) -> Ints:
        """How long each state may last, by script and state, ns."""
        spans = np.full((len(CLOSES), len(State)), FAR // 2, np.int64)
        for state in (State.AWAITING_FIN, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK):
            spans[:, state] = self.timeout_ns
        spans[:, list(HOLDS)] = 0
        spans[:, State.FIN_WAIT_2] = _LINGER_NS
        spans[_HALF, State.FIN_WAIT_2] = FAR // 2
        return spans
