"""A burst that the workers of a cluster send: an activity like one that this host sends."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from analyzer.findings.workers import IN_WORDS
from analyzer.units import NS_PER_S
from loadgen.cluster.clocks import over_the_run
from loadgen.cluster.connection import WorkerLost
from loadgen.cluster.crew import measure_offset
from loadgen.cluster.gather import gather
from loadgen.cluster.progress import WorkerProgress, merge
from loadgen.cluster.together import all_of
from loadgen.cluster.worker import remote
from loadgen.cluster.worker.messages import PartOrder, Prepared, Pulse, Stopped, part_name
from loadgen.errors import UsageProblem
from loadgen.load.engines.activity import Burst
from loadgen.load.engines.rows import rows_in
from loadgen.load.engines.sources import SourcePorts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.recording.directory import RecordingWriter
    from loadgen.capture.start import CaptureOptions
    from loadgen.cluster.connection import WorkerState
    from loadgen.cluster.crew import Crew, Member
    from loadgen.cluster.progress import Why
    from loadgen.load.engines.tally import Tally
    from loadgen.load.plan import LoadPlan

PULSE_EVERY_S = 0.5
KEEP_EVERY_S = 5.0
ASK_S = 5.0
"""For one answer; the next question may have one."""

SILENT_S = 20.0
"""A worker that has not answered for so long is lost, and so is the scheduler."""

LEAD_S = 1.0
"""From the order to the first request: every worker has the order by then."""

_LEAD_EACH_S = 0.02
_CERTAIN = frozenset({"gone", "forgotten"})
_WHY: dict[WorkerState, Why] = {
    "there": "stalled",
    "gone": "died",
    "forgotten": "scheduler",
    "unknown": "scheduler",
}
_PREPARE_S = 60.0
_STOP_S = 60.0
_REFUSED = {
    "not-allowed": "its host does not allow this plan (an address, a privilege or a route is "
    "missing); the same burst without --cluster, run there, says which",
    "folder": "it cannot record; expected room in its temporary directory, or a run directory "
    "that it can write with --cluster-shared",
    "engine": "its engine does not start",
}
_UNKNOWN = "it does not answer; expected an answer within a minute"


class ClusterBurst(Burst):
    """Sends a plan from the workers of a cluster; each records its own part.

    Args:
        plan, recording, progress, say: as of ``Burst``.
        crew: the workers, with their shares.
        captures: what each host of the cluster captures; None for nothing.

    Attributes:
        workers: what is known of each.
    """

    def __init__(
        self,
        plan: LoadPlan,
        recording: RecordingWriter,
        progress: Callable[[Tally], None],
        say: Callable[[str], None],
        *,
        crew: Crew,
        captures: CaptureOptions | None,
    ) -> None:
        super().__init__(plan, recording, progress, say)
        self.workers = [WorkerProgress(member) for member in crew.members]
        self._crew = crew
        self._captures = captures
        self._say = say
        self._keeping: asyncio.Task[None] | None = None

    async def _begin(self) -> None:
        recording = self._recording
        recording.update_manifest({"workers": [worker.manifest() for worker in self.workers]})
        try:
            await self._make_begin()
        except BaseException:
            await asyncio.gather(*(self._dismiss(worker) for worker in self.workers))
            raise

    async def _make_begin(self) -> None:
        """Have all workers get ready, then begin at one instant."""
        await all_of(*(self._prepare(worker) for worker in self.workers))
        lead_s = LEAD_S + _LEAD_EACH_S * len(self.workers)
        begin_ns = time.time_ns() + round(lead_s * NS_PER_S)
        expected = self._plan.expected_requests
        self._event("burst-start", f"{expected} requests" if expected else "until time is up")
        await asyncio.gather(*(self._start(worker, begin_ns) for worker in self.workers))

    async def _prepare(self, worker: WorkerProgress) -> None:
        order = self._order(worker.member)
        try:
            answer = await self._ask(worker, remote.prepare, order, limit_s=_PREPARE_S)
        except WorkerLost:
            answer = None
        refusal = answer.refusal if isinstance(answer, Prepared) else ""
        if refusal is not None:
            why = _REFUSED.get(refusal, _UNKNOWN)
            raise UsageProblem(f"--cluster: {worker.name}: {why}")
        worker.folder, worker.captures = str(answer.folder), answer.captures

    async def _dismiss(self, worker: WorkerProgress) -> None:
        """Have a worker forget what it got ready: nothing will be sent."""
        with suppress(WorkerLost):
            await self._ask(worker, remote.stop, self._crew.run, worker.member.number)
            if worker.folder:
                await self._ask(worker, remote.remove, worker.folder)

    def _order(self, member: Member) -> PartOrder:
        crew = self._crew
        name = part_name(crew.run, member.number)
        return PartOrder(
            run=crew.run,
            number=member.number,
            name=member.worker.name,
            plan=member.share.lanes[0].plan,
            processes=len(member.share.lanes),
            offset_ns=member.offset.offset_ns,
            folder=str(self._recording.path.resolve() / name) if crew.shared else None,
            captures=self._captures if member.captures else None,
            live_rows=bool(self.followers),
        )

    async def _start(self, worker: WorkerProgress, begin_ns: int) -> None:
        member = worker.member
        lanes = member.share.beginning(begin_ns + member.offset.offset_ns)
        try:
            await self._ask(worker, remote.begin, self._crew.run, member.number, lanes)
        except WorkerLost:
            self._lose(worker, "stalled")

    async def _all_sent(self) -> None:
        await asyncio.gather(*(self._follow(worker) for worker in self.workers))
        self.sources = _sources_of(self.workers)
        self._keeping = asyncio.create_task(self._keep())

    def under_way(self) -> int:
        """Requests that have begun and not ended, by the last word of each worker that is there."""
        there = [worker.pulse for worker in self.workers if worker.why is None]
        return sum(pulse.under_way for pulse in there if pulse)

    async def _keep(self) -> None:
        """Go on asking, so that the workers hold open what the plan leaves open."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            there = [worker for worker in self.workers if worker.why is None]
            await asyncio.gather(*(self._hear(worker, with_sources=False) for worker in there))

    async def _follow(self, worker: WorkerProgress) -> None:
        """Ask a worker how far it is, until it has sent all or is lost."""
        while not worker.is_over:
            await asyncio.sleep(PULSE_EVERY_S)
            await self._hear(worker, with_sources=False)
        if worker.why is None:
            await self._hear(worker, with_sources=True)

    async def _hear(self, worker: WorkerProgress, *, with_sources: bool) -> None:
        """Ask once; a worker that is gone is lost at once, one that is silent after a while."""
        about = (self._crew.run, worker.member.number)
        try:
            pulse = await self._ask(
                worker, remote.pulse, *about, with_sources=with_sources, limit_s=ASK_S
            )
        except WorkerLost:
            state = await self._crew.cluster.state_of(worker.member.worker.address)
            silent_s = (time.time_ns() - worker.heard_ns) / NS_PER_S
            if state in _CERTAIN or silent_s > SILENT_S:
                self._lose(worker, _WHY[state])
                if state == "there":
                    await self._crew.cluster.end(worker.member.worker.address)
            return
        if not isinstance(pulse, Pulse):  # another process under the same address
            self._lose(worker, "died")
            return
        worker.hear(pulse)
        why_lost = _why_lost(pulse)
        if why_lost is not None:
            self._lose(worker, why_lost)
        self._show(pulse)

    def _show(self, pulse: Pulse) -> None:
        if pulse.rows:
            rows = rows_in(pulse.rows)
            for follower in self.followers:
                follower(rows)
        pulses = [worker.pulse for worker in self.workers if worker.pulse]
        merge(self.tally, self._targets, pulses)
        self._progress(self.tally)

    def _lose(self, worker: WorkerProgress, why: Why) -> None:
        """Count a worker as lost, and say so; one that does already stays as it is."""
        if not worker.lose(why):
            return
        row = {"at": worker.lost_ns, "host": worker.name, "kind": "worker-lost"}
        self._recording.append("events", {**row, "detail": IN_WORDS[why]})
        self._say(worker.line)

    async def _end(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping
        await self._compare_clocks()
        await asyncio.gather(*(self._stop(worker) for worker in self.workers))
        await gather(self._crew, self._recording.path, self.workers, self._say)
        self._recording.update_manifest({"workers": [worker.manifest() for worker in self.workers]})

    async def _compare_clocks(self) -> None:
        """See how far the workers' clocks have moved since the start."""
        for worker in self.workers:
            before = worker.member.offset
            if worker.why is not None or not before.uncertainty_ns:  # lost, or of our own kernel
                continue
            with suppress(WorkerLost):
                after = await measure_offset(self._crew.cluster, worker.member.worker)
                worker.offset = over_the_run(before, after)

    async def _stop(self, worker: WorkerProgress) -> None:
        """Have a worker close what it holds; one that had stalled may be back."""
        limit_s = _STOP_S if worker.why is None else 2.0
        about = (self._crew.run, worker.member.number)
        try:
            stopped = await self._ask(worker, remote.stop, *about, limit_s=limit_s)
        except WorkerLost:
            self._lose(worker, "stalled")
            return
        worker.stopped = stopped if isinstance(stopped, Stopped) else None

    async def _ask(self, worker: WorkerProgress, *what: Any, **more: Any) -> Any:
        return await self._crew.cluster.run(worker.member.worker.address, *what, **more)

    def manifest(self) -> dict[str, Any]:
        """The engine's part of ``run.json``."""
        ended = [worker.stopped for worker in self.workers]
        return {
            "name": self._plan.engine,
            "cpu_s": [cpu_s for each in ended if each for cpu_s in each.cpu_s],
        }

    def more_manifest(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """What the workers captured, and what they should have and did not."""
        if self._captures is None:
            return {}
        counted = [worker.stopped for worker in self.workers if worker.captures and worker.stopped]
        size_bytes = self._captures.size_bytes
        missed = [row for worker in self.workers for row in _packets_missed(worker, size_bytes)]
        capture = {
            "host": "workers",
            "packets": sum(each.packets or 0 for each in counted),
            "dropped": sum(each.dropped or 0 for each in counted),
        }
        return {
            "capture": capture if counted else None,
            "not_measured": [*manifest["not_measured"], *missed],
        }


def _packets_missed(worker: WorkerProgress, size_bytes: int | None) -> list[dict[str, str]]:
    """Rows of ``not_measured``: what a worker should have captured and is not here.

    Args:
        worker: at its end.
        size_bytes: within which each capture was to stay.
    """
    if not worker.member.captures:
        return []
    packets, stopped = f"packets of {worker.name}", worker.stopped
    if not worker.captures:
        return [{"what": packets, "why": "no privilege or no way to capture there"}]
    if stopped is None:
        what = f"{packets} from some instant on" if worker.is_whole else packets
        return [{"what": what, "why": "the worker was lost"}]
    kept = f"its capture is kept below {size_bytes} bytes (--capture-size)"
    missed = (
        ("", "not all that the worker recorded could be fetched", not worker.is_whole),
        (" before some instant", kept, stopped.capture_deleted),
        (" from some instant on", "its capture stopped", stopped.capture_failed),
    )
    return [{"what": packets + which, "why": why} for which, why, holds in missed if holds]


def _why_lost(pulse: Pulse) -> Why | None:
    """What a worker itself says is the matter."""
    if pulse.crashed:
        return "crashed"
    if pulse.expired:
        return "unasked"
    return "unrecorded" if pulse.unrecorded else None


class _EverySource(SourcePorts):
    """Any address and port: the sources of workers that nobody can be asked about."""

    def count(self, entries: Rows) -> int:
        """All of them."""
        return len(entries)


def _sources_of(workers: list[WorkerProgress]) -> SourcePorts:
    """All that the burst came from; of a lost worker's anything may be."""
    known = [worker.pulse.sources if worker.pulse else None for worker in workers]
    whole = SourcePorts()
    for sources in known:
        if sources is None:
            return _EverySource()
        whole.merge(sources)
    return whole
