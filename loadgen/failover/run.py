"""One fail-over: its activities put together and run over one recording."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from analyzer.recording.directory import RecordingWriter
from loadgen.burst.burst import (
    BurstOptions,
    lab_events,
    pollers_on,
    run_manifest,
)
from loadgen.capture.start import open_captures
from loadgen.director.connect import connect_directors, present_link
from loadgen.director.links.clients import director_client
from loadgen.director.polling.watched import watch_targets
from loadgen.failover.catch import Catch
from loadgen.failover.held_connections import HeldConnections
from loadgen.failover.manifest import manifest_of
from loadgen.failover.masters_log import MastersLog
from loadgen.failover.options import scheduled
from loadgen.failover.phases import FaultSchedule, Hooks
from loadgen.failover.sanity.check import by_name, why_insane
from loadgen.failover.vrrp_captures import VrrpCaptures
from loadgen.load.engines.activity import Burst
from loadgen.load.plan import ClosedModel
from loadgen.session.keys import QuitKey
from loadgen.session.manifest import complete_manifest
from loadgen.session.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.burst.progress import RunProgress
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.client import DirectorClient
    from loadgen.failover.options import FailoverOptions
    from loadgen.lab.lab import Lab
    from loadgen.load.plan import LoadPlan
    from loadgen.session.run import Activity, Ended
    from loadgen.sites import Site

EXERCISE_REQUESTS = 50
SETTLE_S = 1.0
"""Of a burst before its director is taken away: the pollers poll four times a second."""


async def failover(
    plan: LoadPlan,
    site: Site,
    lab: Lab | None,
    options: FailoverOptions,
    watching: BurstOptions,
    progress: RunProgress,
) -> Ended:
    """Prove the set-up sane, have the fault happen under load, and leave a recording.

    A set-up that is not sane gets no fault and no load; the recording says why.

    Raises:
        UsageProblem: a director cannot be reached or has no IPVS; nothing was sent.
        RecordingError: the directory cannot take a recording.
    """
    clients = [director_client(link) for link in site.directors]
    try:
        facts = await connect_directors(
            clients,
            watching.timeouts,
            progress.say,
            watching.left_timeouts,
            needs_ipvs=True,
        )
        why = await why_insane(
            plan, clients, facts, where=options.where, probe=not options.exercise
        )
        plan = plan if options.exercise else scheduled(plan, options)
        manifest = run_manifest(plan, site, watching, clients, facts, command="failover")
        recording = RecordingWriter(
            watching.directory,
            manifest
            | {
                "failover": manifest_of(
                    plan, options, by_name(clients, facts), why, lab.topology if lab else None
                )
            },
        )
        if why:
            progress.say(f"the set-up is not sane, so nothing is done to it: {'; '.join(why)}")
            recording.update_manifest({"ended_at_ns": time.time_ns()})
            recording.close("completed")
            return "completed"
        return await _under_load(
            _FailoverRun(plan, site, lab, options, watching, clients, facts, recording), progress
        )
    finally:
        for client in clients:
            await client.close()


@dataclass(frozen=True, slots=True)
class _FailoverRun:
    plan: LoadPlan
    site: Site
    lab: Lab | None
    options: FailoverOptions
    watching: BurstOptions
    clients: Sequence[DirectorClient]
    facts: Sequence[BootFacts]
    recording: RecordingWriter


async def _under_load(failover_run: _FailoverRun, progress: RunProgress) -> Ended:
    recording, plan, options = failover_run.recording, failover_run.plan, failover_run.options
    captures = open_captures(
        failover_run.watching.capture,
        plan.targets,
        recording,
        progress.say,
        on=present_link(failover_run.site.capture_on, failover_run.clients),
        client_interface=failover_run.site.interface,
    )
    pollers = pollers_on(
        failover_run.watching,
        watch_targets(plan.targets),
        failover_run.clients,
        failover_run.facts,
        recording,
    )
    connections = HeldConnections(plan, options.paths, recording) if options.paths else None
    logs = [MastersLog(failover_run.lab, recording)] if failover_run.lab else []
    vrrp = _vrrp_captures(failover_run)
    activities: list[Activity] = [QuitKey(), *captures, *vrrp, *pollers]
    activities += [
        *lab_events(failover_run.site, recording),
        *logs,
        *([connections] if connections else []),
    ]
    with progress:
        ended = await run([*activities, *_course(failover_run, connections, progress)], recording)
    complete_manifest(recording, captures, pollers)
    missed = [row for capture in vrrp for row in capture.not_measured()]
    missed += connections.not_measured() if connections is not None else []
    if missed:
        rows = [*recording.manifest["not_measured"], *missed]
        recording.update_manifest({"not_measured": rows})
    return ended


def _vrrp_captures(failover_run: _FailoverRun) -> list[VrrpCaptures]:
    """VRRP as the directors see it, of whom one alone has nobody to hear."""
    links = [client.link for client in failover_run.clients]
    wanted = failover_run.watching.capture.wanted and len(links) > 1
    where = failover_run.options.where
    return [VrrpCaptures(links, failover_run.recording, where)] if wanted else []


def _course(
    failover_run: _FailoverRun, connections: HeldConnections | None, progress: RunProgress
) -> list[Activity]:
    """The load and what happens meanwhile."""
    recording, plan, options = failover_run.recording, failover_run.plan, failover_run.options
    if options.exercise:
        return [_exercise(failover_run, progress)]
    speak = connections.speak if connections else None
    if options.fault is not None:
        load = Burst(plan, recording, lambda t: progress.sending(t, None), progress.say)
        course = FaultSchedule(
            options.fault, options.timing, recording, progress.say, Hooks(speak=speak)
        )
        return [_While(load, course.over), course]
    timing = options.timing
    catch = Catch(
        plan.target.vip, failover_run.site.interface, timing.after_s + timing.tail_s, progress.say
    )
    return [_While(Burst(plan, recording, catch.follow, progress.say), catch.over), catch]


def _exercise(failover_run: _FailoverRun, progress: RunProgress) -> FaultSchedule:
    """Two bursts of fifty, one after another, like curl -I in a loop; the fault between them."""
    numbers = count(0, EXERCISE_REQUESTS)
    plan = replace(
        failover_run.plan, arrivals=ClosedModel(requests=EXERCISE_REQUESTS), engine="http"
    )

    async def fifty() -> None:
        load = Burst(
            plan, failover_run.recording, lambda _: None, progress.say, first=next(numbers)
        )
        async with load:
            await load.done()
        await asyncio.sleep(SETTLE_S)

    assert failover_run.options.fault is not None
    return FaultSchedule(
        failover_run.options.fault,
        failover_run.options.timing,
        failover_run.recording,
        progress.say,
        Hooks(first=fifty, second=fifty),
    )


class _While:
    """A load that ends with its schedule, or earlier, when the course is over."""

    def __init__(self, load: Burst, over: asyncio.Event) -> None:
        self._load = load
        self._over = over

    async def __aenter__(self) -> object:
        return await self._load.__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        await self._load.__aexit__(*error)

    async def done(self) -> None:
        """Return at the earlier of both."""
        ends = [
            asyncio.ensure_future(waiting) for waiting in (self._load.done(), self._over.wait())
        ]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                if end.done():
                    end.result()
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
