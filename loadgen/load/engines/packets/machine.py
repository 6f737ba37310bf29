"""All connections of a plan: segments in, segments and rows out; no socket, no clock of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.forecast.closings import CLOSES
from analyzer.units import NS_PER_S
from loadgen.load.engines.packets.tcp.answers import ResponseReader
from loadgen.load.engines.packets.tcp.connections import UNFRAMED
from loadgen.load.engines.packets.tcp.receiver import Receiver
from loadgen.load.engines.packets.tcp.script import OVER, ConnectionState, Segment, SegmentEvent
from loadgen.load.engines.packets.tcp.segments import joined
from loadgen.load.engines.packets.tcp.table import line_of
from loadgen.load.engines.packets.tcp.transitions import COLUMN, Transitions
from loadgen.load.engines.rows import NONE, Row
from loadgen.load.engines.wording import INTERRUPTED
from loadgen.load.plan import GOLDEN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from loadgen.load.engines.packets.tcp.connections import Ints, UInt32s
    from loadgen.load.engines.packets.tcp.segments import Out, ReceivedSegments
    from loadgen.load.engines.packets.tcp.transitions import LossCounts
    from loadgen.load.plan import LoadPlan

FIRST_RTO_NS = 1_000_000_000  # RFC 6298, 2.1
_SEQUENCE_NS_BITS = 12  # a new first number every 4 microseconds (RFC 9293, 3.4.1)

# looked up once: a member of an enumeration costs more to name than a small array to add up
_SYN, _RST, _TIME_UP = int(Segment.SYN), int(Segment.RST), int(SegmentEvent.TIME_UP)
_UNKNOWN: dict[str, Any] = dict.fromkeys(Row._fields, NONE)
_BEGIN = line_of(np.arange(len(CLOSES)), ConnectionState.SYN_SENT)


class PlanConnections:
    """The connections of one plan.

    Args:
        plan: what each of them does.
        sources: numbers of our addresses' texts.
        consumes: sequence numbers that each kind of segment takes.
        text: the number of a text.
        first_port: that each of our addresses begins with.
    """

    def __init__(
        self,
        plan: LoadPlan,
        sources: Sequence[int],
        consumes: UInt32s,
        text: Callable[[str], int],
        first_port: int,
    ) -> None:
        answers = ResponseReader(heads=plan.request.method == "HEAD")
        self._transitions = Transitions(plan, len(sources), consumes, first_port, answers, text)
        self._receiver = Receiver(self._transitions, answers)
        self._all = self._transitions.all
        self._sources = np.array(sources, np.int64)
        self._bounds = np.array(plan.closing.bounds)
        self._kinds = np.array([CLOSES.index(kind) for kind, _ in plan.closing.shares])
        self._connect_ns = round(min(plan.connect_timeout_s, plan.timeout_s) * NS_PER_S)

    @property
    def waiting(self) -> int:
        """Connections whose row has not been sent on."""
        return self._transitions.waiting

    @property
    def open(self) -> int:
        """Connections of which anything may still come."""
        return len(self._all)

    @property
    def left(self) -> int:
        """Connections that were left: the server may go on trying to reach them."""
        return self._all.left

    @property
    def counts(self) -> LossCounts:
        """What was lost."""
        return self._transitions.counts

    def outgoing(self) -> Out | None:
        """All segments since this was last asked, in their order."""
        out, self._transitions.out = self._transitions.out, []
        return joined(out)

    @property
    def known(self) -> int:
        """Rows that ``finished`` would give."""
        return self._transitions.known

    def finished(self) -> Ints | None:
        """Rows that are known to the end, since this was last asked; shape (n, WIDTH)."""
        rows, self._transitions.rows, self._transitions.known = self._transitions.rows, [], 0
        return np.concatenate(rows) if rows else None

    def begin(self, numbers: Ints, scheduled_ns: Ints, now_ns: int) -> int:
        """Begin connections; how many of them there were ports for, from the first on.

        Args:
            numbers: of the requests in the plan, shape (n,).
            scheduled_ns: when they were due, shape (n,).
            now_ns: Unix time.
        """
        pairs = self._transitions.pairs.take(len(numbers), now_ns)
        count = len(pairs)
        if not count:
            return 0
        all_, slots = self._all, self._all.take(pairs)
        kinds = self._kinds_of(numbers[:count])
        all_.line[slots] = _BEGIN[kinds]
        all_.nxt[slots] = now_ns >> _SEQUENCE_NS_BITS & 0xFFFFFFFF
        all_.rcv[slots] = 0
        all_.framing[slots] = UNFRAMED
        all_.noted[slots] = False
        all_.calm_rto[slots] = FIRST_RTO_NS
        all_.limit[slots] = now_ns + self._connect_ns
        known = _UNKNOWN | {
            "number": numbers[:count],
            "scheduled": scheduled_ns[:count],
            "started": now_ns,
            "source": self._sources[pairs >> 16],
            "port": pairs & 0xFFFF,
            "close": kinds,
            "retransmits": 0,
        }
        for column, name in zip(all_.row, Row._fields, strict=True):
            column[slots] = known[name]
        self._transitions.busy += count
        self._transitions.waiting += count
        self._transitions.put(slots, np.full(count, _SYN), now_ns)
        return count

    def _kinds_of(self, numbers: Ints) -> Ints:
        """How each request's connection is to end."""
        if len(self._kinds) == 1:
            return self._kinds.repeat(len(numbers))
        places = self._bounds.searchsorted(numbers * GOLDEN % 1.0, side="right")
        return self._kinds[places]

    def receive(self, seen: ReceivedSegments, now_ns: int) -> int:
        """Take segments in; how many connections no sender waits for any more."""
        busy = self._transitions.busy
        self._receiver.receive(seen, now_ns)
        return busy - self._transitions.busy

    def tick(self, now_ns: int) -> int:
        """See whose time has come; how many connections no sender waits for any more."""
        all_, busy = self._all, self._transitions.busy
        due = all_.due(now_ns)
        if not len(due):
            return 0
        up = all_.limit[due] <= now_ns
        ended, again = due[up], due[~up]
        if len(ended):
            self._transitions.happen(ended, np.full(len(ended), _TIME_UP), now_ns)
        if len(again):
            self._transitions.put_again(again, now_ns)
        return busy - self._transitions.busy

    def stop(self, now_ns: int) -> None:
        """Everything ends: what has no row yet gets one; all but what was left get a RST."""
        all_ = self._all
        states = self._transitions.table.of_states
        live = np.flatnonzero(~states(*OVER)[all_.line[: all_.used]])
        unanswered = live[all_.row[COLUMN["ended"]][live] == NONE]
        if len(unanswered):
            self._transitions.fail(unanswered, INTERRUPTED)
        self._transitions.note(live[~all_.noted[live]])
        self._transitions.busy = 0
        speaking = live[~states(ConnectionState.SYN_SENT)[all_.line[live]]]
        if len(speaking):
            self._transitions.put(speaking, np.full(len(speaking), _RST), now_ns)
        if len(live):
            all_.line[live] = 0
            self._transitions.free(live, np.zeros(len(live), np.bool_), now_ns)
