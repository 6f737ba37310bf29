"""A plan divided over workers: pure functions, whose shares add up to exactly the plan.

A plan is dealt out to *lanes*, engine processes, as on one host: lane ``i`` of ``n`` carries the
connections ``i, i + n, i + 2n, …`` and as much of the concurrency. A worker has every ``w``-th
lane, so that each sends at the same rate all the time, whatever the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import gcd
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.load.engines.workers.share import Share, parts
from loadgen.load.plan import OpenModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.load.plan import LoadPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerShare:
    """What one worker sends.

    Attributes:
        sources: the addresses that it sends from; empty for its kernel's choice.
        lanes: the shares of its processes; their ``begin_ns`` is set when the start is agreed.
    """

    sources: tuple[str, ...]
    lanes: tuple[Share, ...]

    @property
    def of_plan(self) -> float:
        """The part of the plan, from 0 to 1."""
        return sum(1 / lane.of for lane in self.lanes)

    @property
    def requests(self) -> int | None:
        """How many it is to send; None where time or chance decides."""
        counts = [requests_of(lane) for lane in self.lanes]
        return None if None in counts else sum(count for count in counts if count is not None)

    def beginning(self, begin_ns: int) -> tuple[Share, ...]:
        """The lanes, to begin at an instant of the worker's own clock, Unix ns."""
        return tuple(replace(lane, begin_ns=begin_ns) for lane in self.lanes)


def divide(plan: LoadPlan, pools: Sequence[tuple[str, ...]]) -> list[WorkerShare]:
    """The shares of as many workers as there are pools, in their order.

    A worker that the plan has no work for (fewer connections at a time than workers) has no lanes.

    Args:
        plan: as for one host; ``processes`` is how many each worker starts.
        pools: each worker's addresses, as ``deal_pool`` has them.
    """
    workers = len(pools)
    lanes = parts(replace(plan, processes=plan.processes * workers), 0)
    return [
        WorkerShare(
            sources=pool,
            lanes=tuple(_from(lane, pool) for lane in lanes[place::workers]),
        )
        for place, pool in enumerate(pools)
    ]


def _from(lane: Share, pool: tuple[str, ...]) -> Share:
    sources = pool if lane.plan.engine == "packets" else in_turn(pool, lane.of)
    return replace(lane, plan=replace(lane.plan, sources=sources))


def in_turn(pool: tuple[str, ...], step: int) -> tuple[str, ...]:
    """A pool of which connections whose numbers are ``step`` apart take each address equally often.

    ``LoadPlan.source_of`` divides a connection's number by the number of targets, and takes the
    quotient modulo the pool's length. Of a lane's connections, which are ``step`` apart, every so
    many-th as there are targets has quotients that are again ``step`` apart, so of a pool whose
    length shares a factor with ``step`` they would leave some addresses out. Here each address
    stands a few times in a row: as often as the largest divisor of ``step`` that has only prime
    factors of the pool's length.
    """
    repeats, rest = 1, step
    while pool and (common := gcd(rest, len(pool))) > 1:
        repeats, rest = repeats * common, rest // common
    return tuple(address for address in pool for _ in range(repeats))


def requests_of(lane: Share) -> int | None:
    """How many requests a lane carries; None where time or chance decides."""
    division = lane.plan.division
    connections = division.connections
    if connections is None or lane.end_ns is not None or _is_random(lane):
        return None
    mine = len(range(lane.index, connections, lane.of))
    has_last = mine > 0 and (connections - 1) % lane.of == lane.index
    missing = division.per_connection - len(division.numbers(connections - 1)) if has_last else 0
    return mine * division.per_connection - missing


def _is_random(lane: Share) -> bool:
    model = lane.plan.arrivals
    return isinstance(model, OpenModel) and model.arrivals == "poisson"


def deal_pool(
    pool: Sequence[str], holders: Sequence[tuple[str, frozenset[str]]]
) -> list[tuple[str, ...]]:
    """Each address of a pool to one of the workers that have it, in the pool's order.

    An address that few have goes first, and to the worker with the fewest so far.

    Args:
        pool: the addresses to send from; empty for each kernel's choice.
        holders: each worker's name, and the addresses of the pool that it could send from.

    Returns:
        each worker's addresses, in the order of the workers.

    Raises:
        UsageProblem: an address that no worker has, or a worker that is left without.
    """
    by_address = {
        address: [place for place, (_, held) in enumerate(holders) if address in held]
        for address in pool
    }
    dealt: list[set[str]] = [set() for _ in holders]
    for address, places in sorted(by_address.items(), key=lambda item: len(item[1])):
        if not places:
            raise UsageProblem(f"--local-ips: no worker of --cluster has the address {address}")
        dealt[min(places, key=lambda place: len(dealt[place]))].add(address)
    for (name, _), addresses in zip(holders, dealt, strict=True):
        if pool and not addresses:
            raise UsageProblem(
                f"--local-ips: {name} of --cluster has none of the addresses to send from; "
                "expected at least one for each worker"
            )
    return [tuple(address for address in pool if address in each) for each in dealt]
