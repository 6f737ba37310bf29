"""The workers of a cluster that will send a plan: found, compared with this host, given shares."""

from __future__ import annotations

import time
import uuid
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import loadgen
from analyzer.units import NS_PER_S
from loadgen.cluster.clocks import (
    RoundTrip,
    WorkerOffset,
    check_offsets,
    of_one_kernel,
    offset_of,
)
from loadgen.cluster.connection import START_S, WorkerLost, connected
from loadgen.cluster.division import WorkerShare, deal_pool, divide
from loadgen.cluster.together import all_of
from loadgen.cluster.worker import remote
from loadgen.cluster.worker.messages import About
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from loadgen.cluster.address import ClusterAddress
    from loadgen.cluster.connection import Cluster, ConnectedWorker
    from loadgen.director.links.link import Link
    from loadgen.load.plan import LoadPlan

ROUND_TRIPS = 20
MOST_ROUND_TRIPS = 100
ROUND_TRIPS_OF_ALL = 2000
"""With many workers each has fewer: one takes 5 ms, and the first clock drifts meanwhile."""

TRIP_S = 5.0
GOOD_NS = 500_000
"""An uncertainty for which nobody need ask again."""

MAX_CLOCK_OFFSET_S = 1.0
_MOST_NAMES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What the operator said of the cluster.

    Attributes:
        max_clock_offset_s: a worker whose clock is, or may be, further off is refused.
        shared: every worker sees the run's directory under the same path, and records there.
    """

    address: ClusterAddress
    max_clock_offset_s: float = MAX_CLOCK_OFFSET_S
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWorker:
    """A worker of the cluster, and its clock."""

    worker: ConnectedWorker
    offset: WorkerOffset


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A worker that has a part in the burst.

    Attributes:
        number: from 1, in the order of their names.
        host: its name, as it says.
        captures: no other worker before it sees the same packets.
    """

    number: int
    worker: ConnectedWorker
    host: str
    offset: WorkerOffset
    share: WorkerShare
    captures: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """A connected cluster and those of its workers that will send.

    Attributes:
        run: names this burst at the workers.
        workers: all of the cluster.
        local: the workers are processes of ours, on this host.
        spare: how many workers the plan has no work for.
    """

    cluster: Cluster
    run: str
    workers: tuple[KnownWorker, ...]
    members: tuple[Member, ...]
    local: bool
    shared: bool
    spare: int


@asynccontextmanager
async def assembled(
    plan: LoadPlan,
    options: ClusterOptions,
    say: Callable[[str], None],
    directors: Sequence[Link] = (),
) -> AsyncIterator[Crew]:
    """Connect to a cluster and divide a plan over its workers; nothing is sent yet.

    A worker whose own machine is a director sends nothing.

    Args:
        plan: to send.
        options: what the operator said of the cluster.
        say: takes a line for the operator.
        directors: of the run; some may be reached from a worker.

    Raises:
        UsageProblem: the cluster cannot be reached or has no worker that sends, or not the one
            that is to reach a director; a worker of another version, with a clock too far off, or
            without an address to send from.
    """
    async with connected(options.address) as cluster:
        try:
            crew = await _crew(cluster, plan, options, directors)
        except WorkerLost as error:
            raise UsageProblem(str(error)) from error
        for line in _lines(crew, options, directors):
            say(line)
        yield crew


async def _crew(
    cluster: Cluster, plan: LoadPlan, options: ClusterOptions, directors: Sequence[Link]
) -> Crew:
    workers = await cluster.workers()
    if not workers:
        raise UsageProblem(
            f"--cluster {options.address.text}: the scheduler has no workers; expected at least one"
        )
    _check_named(directors, workers)
    answers = await all_of(*(_about(cluster, worker, plan.sources) for worker in workers))
    about = {worker.address: answer for worker, answer in zip(workers, answers, strict=True)}
    most = max(ROUND_TRIPS, min(MOST_ROUND_TRIPS, ROUND_TRIPS_OF_ALL // len(workers)))
    our_boot = remote.boot_id()
    offsets = {  # one after another: they would slow each other's round trips down
        worker.address: of_one_kernel(
            await _offset_before(cluster, worker, most), about[worker.address].boot, our_boot
        )
        for worker in workers
    }
    named = [(worker.name, offsets[worker.address]) for worker in workers]
    check_offsets(named, options.max_clock_offset_s)
    free = _free(workers, directors)
    shares = divide(plan, _pools(plan, free, [about[worker.address] for worker in free]))
    sending = [pair for pair in zip(free, shares, strict=True) if pair[1].lanes]
    seen = [about[worker.address].network or worker.address for worker, _ in sending]
    members = tuple(
        Member(
            number=place + 1,
            worker=worker,
            host=about[worker.address].host,
            offset=offsets[worker.address],
            share=share,
            captures=seen.index(seen[place]) == place,
        )
        for place, (worker, share) in enumerate(sending)
    )
    return Crew(
        cluster=cluster,
        run=uuid.uuid4().hex[:12],
        workers=tuple(
            KnownWorker(worker=worker, offset=offsets[worker.address]) for worker in workers
        ),
        members=members,
        local=bool(options.address.local),
        shared=options.shared,
        spare=len(free) - len(members),
    )


def _check_named(directors: Sequence[Link], workers: Sequence[ConnectedWorker]) -> None:
    """See that each worker that is to reach a director is there.

    Raises:
        UsageProblem: names the first director whose worker is not, and the workers.
    """
    names = [worker.name for worker in workers]
    for link in directors:
        if link.worker is not None and link.worker not in names:
            more = ", …" if len(names) > _MOST_NAMES else ""
            raise UsageProblem(
                f"--director {link.spec}: --cluster has no worker of that name; expected one of "
                f"{', '.join(names[:_MOST_NAMES])}{more}"
            )


def _free(workers: list[ConnectedWorker], directors: Sequence[Link]) -> list[ConnectedWorker]:
    """The workers that may send: those whose own machine is no director.

    Raises:
        UsageProblem: there is none.
    """
    own = {link.worker for link in directors if link.kind == "local"}
    free = [worker for worker in workers if worker.name not in own]
    if not free:
        raise UsageProblem(
            "--cluster: every worker runs on a director (--director worker:NAME), and such a "
            "worker sends nothing; expected one more"
        )
    return free


def _pools(
    plan: LoadPlan, workers: Sequence[ConnectedWorker], about: Sequence[About]
) -> list[tuple[str, ...]]:
    """Each worker's addresses; those of ``packets`` are nobody's, so that anyone may have them."""
    everything = frozenset(plan.sources)
    holders = [
        (worker.name, everything if plan.engine == "packets" else known.held)
        for worker, known in zip(workers, about, strict=True)
    ]
    return deal_pool(plan.sources, holders)


async def _about(cluster: Cluster, worker: ConnectedWorker, pool: Sequence[str]) -> About:
    expected = f"expected loadgen {loadgen.__version__} installed there as here"
    try:
        answer = await cluster.run(worker.address, remote.about, tuple(pool), limit_s=START_S)
    except WorkerLost as error:
        raise UsageProblem(f"--cluster: {worker.name} cannot run loadgen; {expected}") from error
    if not isinstance(answer, About) or answer.version != loadgen.__version__:
        raise UsageProblem(f"--cluster: {worker.name} has another version of loadgen; {expected}")
    return answer


async def _offset_before(cluster: Cluster, worker: ConnectedWorker, most: int) -> WorkerOffset:
    try:
        return await measure_offset(cluster, worker, most=most)
    except WorkerLost as error:
        raise UsageProblem(f"--cluster: {worker.name} does not answer") from error


async def measure_offset(
    cluster: Cluster, worker: ConnectedWorker, *, most: int = ROUND_TRIPS
) -> WorkerOffset:
    """A worker's clock against this host's, by at most so many round trips.

    Raises:
        WorkerLost: it does not answer, or not with an instant.
    """
    trips: list[RoundTrip] = []
    while len(trips) < most:
        asked_ns = time.time_ns()
        there_ns = await cluster.run(worker.address, time.time_ns, limit_s=TRIP_S)
        answered_ns = time.time_ns()
        if not isinstance(there_ns, int):
            raise WorkerLost("a worker's clock gave no number")
        trips.append(RoundTrip(asked_ns=asked_ns, there_ns=there_ns, answered_ns=answered_ns))
        if len(trips) >= ROUND_TRIPS and offset_of(trips).uncertainty_ns <= GOOD_NS:
            break
    return offset_of(trips)


def _lines(crew: Crew, options: ClusterOptions, directors: Sequence[Link]) -> list[str]:
    offsets = [known.offset for known in crew.workers]
    furthest = max(offsets, key=lambda offset: abs(offset.offset_ns), default=None)
    lines = []
    if options.address.is_open:
        lines.append(
            f"warning: {options.address.text} is open: whoever reaches the scheduler can run code "
            "on its workers; tls:// asks for a certificate"
        )
    clocks = ""
    if furthest is not None:
        unsure_ns = max(offset.uncertainty_ns for offset in offsets)
        clocks = (
            f"; clocks off by up to {abs(furthest.offset_ns) / NS_PER_S * 1e3:,.1f} ms "
            f"(± {unsure_ns / NS_PER_S * 1e3:,.1f} ms)"
        )
    spare = f", {crew.spare} more have nothing to do" if crew.spare else ""
    many = f"{len(crew.members)} worker{'s' if len(crew.members) != 1 else ''}"
    lines.append(f"cluster {options.address.text}: {many} will send{spare}{clocks}")
    polled = [f"{link.name} by {link.worker}" for link in directors if link.worker is not None]
    return [*lines, f"polled by workers: {', '.join(polled)}"] if polled else lines
