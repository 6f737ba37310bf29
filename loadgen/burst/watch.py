"""Watching the decay: until the burst's entries have expired, or for the configured time."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from analyzer.forecast.lifetimes import FIN_RETRIES_S, SYN_ACK_RETRIES_S
from analyzer.ipvs.states import State, Timeouts, timeout_by_state_s
from analyzer.ipvs.timers import granule_s
from loadgen.session.background import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from analyzer.forecast.closings import Close
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.polling.poller import Poller
    from loadgen.load.engines.activity import Burst
    from loadgen.load.engines.sources import SourcePorts
    from loadgen.load.plan import LoadPlan

CHECK_EVERY_S = 0.1
SETTLED_FOR_S = 1.0
"""Polling goes on after the last entry's removal, so that the page shows the curve's end."""

LONGEST_TRACKED_S = 900.0
"""A connection that stays open is tracked for five days by default: nobody waits for that."""

_MARGIN_S = 3.0
_COARSEST_HZ = 300  # of the common ones it has the longest granules


def longest_decay_s(facts: BootFacts, plan: LoadPlan) -> float:
    """Longest lifetime of an entry of a plan's connections on this director, seconds."""
    if facts.kind == "netfilter":
        return _longest_tracked_s(facts, plan)
    repeats_s = 0.0
    timeouts = timeout_by_state_s(facts.timeouts or Timeouts())
    forwarding = {
        server.forwarding for service in facts.services.services for server in service.destinations
    }
    if plan.datagram is not None:
        timeout_s = float((facts.timeouts or Timeouts()).udp_s)
    else:
        ends_in = set[State]().union(*(_ENDS_IN[kind] for kind in plan.closing.kinds))
        if forwarding <= {"dr", "tun"}:
            ends_in -= {State.TIME_WAIT, State.CLOSE_WAIT}
        else:
            repeats_s = max(_REPEATS_S.get(kind, 0.0) for kind in plan.closing.kinds)
        timeout_s = max(float(timeouts[state]) for state in ends_in)
    hz = facts.timer_phase.hz if facts.timer_phase else _COARSEST_HZ
    return repeats_s + timeout_s + granule_s(timeout_s, hz)


def _longest_tracked_s(facts: BootFacts, plan: LoadPlan) -> float:
    """The same of connection tracking, but ``LONGEST_TRACKED_S`` at most."""
    if plan.datagram is not None:
        ends_in, repeats_s = {"nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"}, 0.0
    else:
        states = set[State]().union(*(_ENDS_IN[kind] for kind in plan.closing.kinds))
        ends_in = {f"nf_conntrack_tcp_timeout_{state.name.lower()}" for state in states}
        repeats_s = max(_REPEATS_S.get(kind, 0.0) for kind in plan.closing.kinds)
    texts = (facts.director_settings.sysctl.get(name, "") for name in ends_in)
    timeouts_s = [float(text) for text in texts if text.isdecimal()]
    return min(repeats_s + max(timeouts_s, default=LONGEST_TRACKED_S), LONGEST_TRACKED_S)


_CLOSED = frozenset({State.FIN_WAIT, State.TIME_WAIT})
_ENDS_IN: Mapping[Close, frozenset[State]] = {
    "client": _CLOSED,
    "server": _CLOSED,
    "reset": frozenset({State.CLOSE}),
    "half": _CLOSED | {State.CLOSE_WAIT},
    "never": frozenset({State.ESTABLISHED}),
    "abandon": frozenset({State.ESTABLISHED}),
    "half-open": frozenset({State.SYN_RECV}),
    "silent": frozenset({State.ESTABLISHED}),
    "fin-no-ack": _CLOSED,
    "reset-syn": frozenset({State.SYN_RECV}),
    **dict.fromkeys(("reset-open", "reset-answer", "reset-fin"), frozenset({State.CLOSE})),
}
"""Where entries wait after each way of closing; both of a pair where the forwarding decides."""

_REPEATS_S: Mapping[Close, float] = {"half-open": SYN_ACK_RETRIES_S, "fin-no-ack": FIN_RETRIES_S}
"""How long a server repeats what nobody acknowledges; in nat an entry lives from the last."""


class DecayWatch(Waiting):
    """An activity that ends when no entry of the burst is left, or its time is up.

    Attributes:
        limit_s: the longest it will wait after the burst.
    """

    def __init__(
        self,
        burst: Burst,
        pollers: Sequence[Poller],
        limit_s: float,
        *,
        until_settled: bool,
        progress: Callable[[float, float, int], object],
    ) -> None:
        self.limit_s = limit_s + _MARGIN_S if until_settled else limit_s
        self._burst = burst
        self._pollers = pollers
        self._until_settled = until_settled
        self._progress = progress
        self._ended_ns = 0

    async def done(self) -> None:
        """Return when no entry of the burst is left, or the limit is reached."""
        await self._burst.ended.wait()
        began = time.monotonic()
        self._ended_ns = time.time_ns()
        settled_since: float | None = None
        while (waited_s := time.monotonic() - began) < self.limit_s:
            left = self._entries_left()
            self._progress(waited_s, self.limit_s, left)
            if left or not self._until_settled:
                settled_since = None
            elif settled_since is None:
                settled_since = waited_s
            elif waited_s - settled_since >= SETTLED_FOR_S:
                return
            await asyncio.sleep(CHECK_EVERY_S)

    def _entries_left(self) -> int:
        """The burst's entries on all directors; by the counters where none were read since it."""
        ours = self._burst.sources
        return sum(self._left_on(poller, ours) for poller in self._pollers)

    def _left_on(self, poller: Poller, ours: SourcePorts) -> int:
        read_since = (poller.entries_polled_ns or 0) > self._ended_ns
        if not (poller.reads_entries and read_since):
            return sum(poller.counts or (0, 0))
        return ours.count(poller.entries)
