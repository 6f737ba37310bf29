"""One worker's part of a plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from analyzer.units import NS_PER_S
from loadgen.load.engines.pacing import due_times_s, share_of
from loadgen.load.plan import ClosedModel, OpenModel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.load.engines.rows import Outlet
    from loadgen.load.plan import LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Part ``index`` of ``of``: every ``of``-th connection, and as much of everything else.

    Attributes:
        begin_ns: Unix time at which the burst begins, the same for all workers.
    """

    plan: LoadPlan
    index: int
    of: int
    begin_ns: int

    @property
    def concurrency(self) -> int | None:
        """Connections that this worker may have open; None for as many as it takes."""
        model = self.plan.arrivals
        limit = model.concurrency if isinstance(model, ClosedModel) else model.at_once
        return None if limit is None else _part(limit, self.index, self.of)

    def numbers(self) -> Iterator[int]:
        """Closed model: the numbers of this worker's connections; endless where time decides."""
        connections = self.plan.division.connections
        number = self.index
        while connections is None or number < connections:
            yield number
            number += self.of

    def due(self) -> Iterator[tuple[int, int]]:
        """Open model: number of each of this worker's connections, and when it is due, Unix ns."""
        connections = self.plan.connections
        assert isinstance(connections, OpenModel)
        for number, due_s in share_of(due_times_s(connections), self.index, self.of):
            yield number, self.begin_ns + round(due_s * NS_PER_S)

    @property
    def pause_ns(self) -> int:
        """Closed model: between the end of a request and the begin of its sender's next; else 0."""
        model = self.plan.arrivals
        return round(model.think_s * NS_PER_S) if isinstance(model, ClosedModel) else 0

    def is_over(self, at_ns: int) -> bool:
        """Closed model: whether no request is begun any more at this instant, Unix ns."""
        return self.end_ns is not None and at_ns >= self.end_ns

    @property
    def end_ns(self) -> int | None:
        """Closed model: when nothing more is begun, Unix ns; None where the number decides."""
        model = self.plan.arrivals
        length_s = model.duration_s if isinstance(model, ClosedModel) else None
        return None if length_s is None else self.begin_ns + round(length_s * NS_PER_S)


def parts(plan: LoadPlan, begin_ns: int) -> list[Share]:
    """A plan dealt out to as many workers as it asks for and as it has work for."""
    model = plan.connections
    most = model.concurrency if isinstance(model, ClosedModel) else model.at_once
    limits = [limit for limit in (most, model.requests, plan.processes) if limit is not None]
    of = min(limits)
    return [Share(plan=plan, index=index, of=of, begin_ns=begin_ns) for index in range(of)]


class Engine(Protocol):
    """Carries out one share, in a process of its own.

    It notes each connection when it has ended (one that stays open, when its response is there),
    reads ``outlet.stopped`` at least ten times a second, and calls ``outlet.sent`` when nothing
    more is to be sent and nothing more is expected. What the plan leaves open (``never``, ``half``,
    ``abandon``) it keeps until ``outlet.stopped``. It returns when no socket of its own is left.
    """

    def __call__(self, share: Share, outlet: Outlet) -> None:
        """Send the share."""


def _part(whole: int, index: int, of: int) -> int:
    return whole // of + (index < whole % of)
