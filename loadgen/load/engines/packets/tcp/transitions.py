"""Events give connections their next state, segments and rows, by the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.forecast.closings import CLOSES
from analyzer.units import NS_PER_S
from loadgen.load.engines.closing import CLOSER_NUMBER, FIRST_TO_CLOSE
from loadgen.load.engines.packets.ports import Pairs
from loadgen.load.engines.packets.tcp.connections import FAR, Connections
from loadgen.load.engines.packets.tcp.script import HOLDS, ConnectionState, SegmentEvent
from loadgen.load.engines.packets.tcp.segments import Out
from loadgen.load.engines.packets.tcp.table import (
    ASKS,
    ENDS,
    FAILS,
    FREES,
    LOSES,
    PAUSES,
    RESETS,
    SENDS,
    SERVER_CLOSED,
    SETTLES,
    TIMES,
    TransitionTable,
    having,
)
from loadgen.load.engines.rows import NONE, Row
from loadgen.load.engines.wording import KIND_NUMBER

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.load.engines.packets.tcp.answers import ResponseReader
    from loadgen.load.engines.packets.tcp.connections import Bools, Ints, UInt32s
    from loadgen.load.engines.wording import Failure
    from loadgen.load.plan import LoadPlan

COLUMN = {name: place for place, name in enumerate(Row._fields)}
"""Of ``Connections.rows``."""

_STARTED, _ENDED, _CLOSED = (COLUMN[name] for name in ("started", "ended", "closed"))
_ERROR, _CLOSER, _RETRANSMITS = (COLUMN[name] for name in ("error", "closer", "retransmits"))
_NUMBER, _FAILURE = COLUMN["number"], COLUMN["failure"]

_HALF, _SERVER = CLOSES.index("half"), CLOSES.index("server")
_BY_SERVER, _BY_RESET = CLOSER_NUMBER["server"], CLOSER_NUMBER["reset"]
_BY_NOBODY = CLOSER_NUMBER["none"]
_WHOM = np.array([FIRST_TO_CLOSE[close] for close in CLOSES])
_WHOM[_SERVER] = _BY_RESET  # one that was asked to close and did not

MOST_RTO_NS = 60_000_000_000
_LINGER_NS = 60_000_000_000
"""How long a server that has our FIN may keep its own side open."""


@dataclass(slots=True)
class LossCounts:
    """What was lost, as far as a client can know.

    Attributes:
        sent: segments in total.
        resent: of these, segments that went again because nothing acknowledged them in time.
        old: segments that came again, or before their turn.
        unfinished: connections whose answer came and whose FIN nobody acknowledged.
    """

    sent: int = 0
    resent: int = 0
    old: int = 0
    unfinished: int = 0


class Transitions:
    """Applies events to connections, and gathers the segments and the rows that come of it.

    Args:
        plan: what each of them does.
        sources: how many addresses we have.
        consumes: sequence numbers that each kind of segment takes.
        first_port: that each of our addresses begins with.
        answers: what is known of answers, forgotten with their connections.
        text: the number of a text.

    Attributes:
        busy: connections that a sender waits for.
        waiting: connections whose row has not been sent on.
        out: segments to be sent.
        rows: rows that are known to the end.
        known: how many these are.
        timeout_ns: for an answer, and for the end of a close.
        table: that they move by.
    """

    def __init__(
        self,
        plan: LoadPlan,
        sources: int,
        consumes: UInt32s,
        first_port: int,
        answers: ResponseReader,
        text: Callable[[str], int],
    ) -> None:
        self._hold = plan.closing.hold
        reuse_ns = None if plan.port_reuse_s is None else round(plan.port_reuse_s * NS_PER_S)
        self.busy = self.waiting = self.known = 0
        self.counts = LossCounts()
        self.all = Connections(sources)
        self.pairs = Pairs(sources, reuse_ns, first=first_port)
        self.out: list[Out] = []
        self.rows: list[Ints] = []
        self.timeout_ns = round(plan.timeout_s * NS_PER_S)
        self._answers = answers
        self._text = text
        self.table = TransitionTable(holds=self._hold.mean_s > 0)
        self._consumes = consumes
        self._spans = self._spans_of_states()
        silent = self.table.of_states(ConnectionState.KEPT, ConnectionState.SILENT)
        self._closes = ~self.table.of_states(ConnectionState.KEPT)
        self._leaves = self.table.of_states(ConnectionState.SILENT)
        self._whom = np.where(silent, _BY_NOBODY, _WHOM.repeat(len(silent) // len(CLOSES)))

    def happen(self, slots: Ints, event: Ints, now_ns: int) -> None:
        """Different connections move as the table says."""
        lines = self.all.line
        places = lines[slots] + event
        deeds, after = self.table.deeds[places], self.table.after[places]
        lines[slots] = after
        wanted = int(np.bitwise_or.reduce(deeds))
        if wanted & SERVER_CLOSED:
            self._closed_by(slots[having(deeds, SERVER_CLOSED)], _BY_SERVER)
        if wanted & TIMES:
            self._time_states(slots, after, deeds, now_ns)
        if wanted & (FAILS | RESETS | LOSES):
            self._note_failures(slots, places, deeds)
        if wanted & SENDS:
            talks = having(deeds, SENDS)
            self.put(slots[talks], deeds[talks] & SENDS, now_ns)
        if wanted & (ENDS | SETTLES | FREES):
            self._settle(slots, after, deeds, now_ns)

    def put(self, slots: Ints, kind: Ints, now_ns: int) -> None:
        """New segments of different connections; what takes numbers is sent until acknowledged."""
        all_ = self.all
        seq = all_.nxt[slots]
        takes = self._consumes[kind]
        all_.nxt[slots] = seq + takes
        self.out.append(Out(kind, all_.pair[slots], seq, all_.rcv[slots]))
        self.counts.sent += len(slots)
        lasting = takes.nonzero()[0]
        if len(lasting):
            who = slots[lasting]
            all_.unacked[who] = kind[lasting]
            all_.rto[who] = rto = all_.calm_rto[who]
            all_.resend[who] = now_ns + rto

    def put_again(self, slots: Ints, now_ns: int) -> None:
        """The segments that nothing has acknowledged; and wait twice as long (RFC 6298, 5.5)."""
        all_ = self.all
        kind = all_.unacked[slots]
        seq = all_.nxt[slots] - self._consumes[kind]
        self.out.append(Out(kind, all_.pair[slots], seq, all_.rcv[slots]))
        all_.row[_RETRANSMITS][slots] += 1
        all_.rto[slots] = rto = np.minimum(2 * all_.rto[slots], MOST_RTO_NS)
        all_.resend[slots] = now_ns + rto
        self.counts.sent += len(slots)
        self.counts.resent += len(slots)

    def note(self, slots: Ints) -> None:
        """Their rows go."""
        self.all.noted[slots] = True
        self.waiting -= len(slots)
        self.known += len(slots)
        self.rows.append(self.all.rows.take(slots, axis=0))

    def free(self, slots: Ints, is_left: Bools, now_ns: int) -> None:
        """Their places and ports are others'; for those that were left nothing is answered."""
        if self._answers.reads_on:
            for slot in slots.tolist():
                self._answers.forget(slot)
        self.pairs.give_back(self.all.pair[slots], now_ns)
        self.all.give_back(slots, is_left)

    def _time_states(self, slots: Ints, after: Ints, deeds: Ints, now_ns: int) -> None:
        """How long they may be where they are now."""
        limit, row = self.all.limit, self.all.row
        timed = having(deeds, TIMES)
        limit[slots[timed]] = now_ns + self._spans[after[timed]]
        asked = slots[having(deeds, ASKS)]
        limit[asked] = row[_STARTED][asked] + self.timeout_ns
        pausing = slots[having(deeds, PAUSES)]
        if len(pausing):
            limit[pausing] = now_ns + self._hold.ns_of(row[_NUMBER][pausing])

    def _note_failures(self, slots: Ints, places: Ints, deeds: Ints) -> None:
        for at in having(deeds, FAILS).tolist():
            self.fail(int(slots[at]), self.table.failure(int(places[at])))
        self._closed_by(slots[having(deeds, RESETS)], _BY_RESET)
        self.counts.unfinished += len(having(deeds, LOSES))

    def fail(self, slots: Ints | int, why: Failure) -> None:
        """Note in the rows of some connections why they failed."""
        self.all.row[_ERROR][slots] = self._text(why.text)
        self.all.row[_FAILURE][slots] = KIND_NUMBER[why.kind]

    def _closed_by(self, slots: Ints, whom: int) -> None:
        closer = self.all.row[_CLOSER]
        closer[slots[closer[slots] == NONE]] = whom

    def _settle(self, slots: Ints, after: Ints, deeds: Ints, now_ns: int) -> None:
        """Who is done: with asking, with all that a row tells, with everything."""
        over = having(deeds, ENDS)
        if len(over):
            self.busy -= len(over)
            self._end(slots[over], after[over], now_ns)
        settled = slots[having(deeds, SETTLES)]
        new = settled[~self.all.noted[settled]]
        if len(new):
            self.note(new)
        free = having(deeds, FREES)
        if len(free):
            self.free(slots[free], self._leaves[after[free]], now_ns)

    def _end(self, slots: Ints, after: Ints, now_ns: int) -> None:
        """Rows of those whose answer is there or not wanted: when we closed, who was first."""
        row = self.all.row
        well = row[_ENDED][slots] != NONE
        if not well.all():
            unwanted = ~well & (row[_ERROR][slots] == NONE)
            row[_ENDED][slots[unwanted]] = now_ns
            well |= unwanted
        row[_CLOSED][slots[well & self._closes[after]]] = now_ns
        first = (well & (row[_CLOSER][slots] == NONE)).nonzero()[0]
        row[_CLOSER][slots[first]] = self._whom[after[first]]

    def _spans_of_states(self) -> Ints:
        """How long each state may last, by line, ns."""
        spans = np.full((len(CLOSES), len(ConnectionState)), FAR // 2, np.int64)
        for state in (
            ConnectionState.AWAITING_FIN,
            ConnectionState.FIN_WAIT_1,
            ConnectionState.CLOSING,
            ConnectionState.LAST_ACK,
        ):
            spans[:, state] = self.timeout_ns
        spans[:, list(HOLDS)] = 0
        spans[:, ConnectionState.FIN_WAIT_2] = _LINGER_NS
        spans[_HALF, ConnectionState.FIN_WAIT_2] = FAR // 2
        return spans.repeat(len(SegmentEvent))
