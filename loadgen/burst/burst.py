"""The burst: its activities put together, run, and turned into an answer."""

from __future__ import annotations

import platform
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import loadgen
from analyzer.ipvs.addresses import host_port
from analyzer.recording.directory import RecordingWriter
from loadgen.burst.abort import AbortWatch
from loadgen.burst.shown import BurstShown, shown_burst
from loadgen.burst.watch import DecayWatch, longest_decay_s
from loadgen.capture.start import CaptureOptions, open_captures
from loadgen.director.boot_facts import BootFacts, manifest_of
from loadgen.director.connect import connect_directors, present_link
from loadgen.director.links.clients import director_client
from loadgen.director.polling.pace import DIRECTOR_CPU
from loadgen.director.polling.poller import Poller
from loadgen.director.polling.watched import Watched, watch_targets
from loadgen.director.target_service import has_service, server_ports, service_facts
from loadgen.lab.faults.recorder import LabEvents
from loadgen.load.engines.activity import Burst
from loadgen.load.preflight import DirectorTable, as_text, preflight, read_host
from loadgen.session.keys import QuitKey
from loadgen.session.manifest import complete_manifest
from loadgen.session.run import run
from loadgen.sockets.watch import socket_watches

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from analyzer.checks.live import Limit
    from analyzer.ipvs.states import Timeouts
    from loadgen.burst.progress import RunProgress
    from loadgen.cluster.crew import ClusterOptions, Crew
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.links.link import Link
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.live.page_server import PageServer
    from loadgen.load.engines.tally import Tally
    from loadgen.load.plan import LoadPlan
    from loadgen.session.run import Activity, Ended
    from loadgen.sites import Site
    from loadgen.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstOptions:
    """How a burst is watched.

    Attributes:
        observe_s: how long to watch after the burst; None until its entries have been removed.
        timeouts: the directors', where the operator knows them and they cannot be read.
        why_engine: carries the plan out, in a few words.
        watched: the services that are recorded; None for those that load is sent to.
        director_cpu: the share of one of a director's CPUs that reading its entries may take.
        left_timeouts: what is done about timeouts that a killed sweep left behind.
        limits: each ends the run once it is crossed.
        live: the server of the live page; None without one.
        openmetrics: listens where the metrics are served; None not to.
        cluster: whose workers send; None to send from this host.
    """

    directory: Path
    command_line: Sequence[str]
    capture: CaptureOptions
    observe_s: float | None
    timeouts: Timeouts | None
    why_engine: str = "as given"
    watched: Watched | None = None
    director_cpu: float = DIRECTOR_CPU
    left_timeouts: LeftTimeouts = "put back"
    limits: Sequence[Limit] = ()
    live: PageServer | None = None
    openmetrics: socket.socket | None = None
    cluster: ClusterOptions | None = None


async def burst(plan: LoadPlan, site: Site, options: BurstOptions, progress: RunProgress) -> Ended:
    """Send the plan, watch the directors forget it, and leave a recording.

    Raises:
        UsageProblem: a director cannot be reached or has no IPVS; nothing was sent.
        RecordingError: the directory cannot take a recording.
    """
    if options.cluster is None:
        return await _burst(plan, site, options, progress)
    from loadgen.cluster.crew import assembled

    async with assembled(plan, options.cluster, progress.say, site.directors) as crew:
        return await _burst(plan, site, options, progress, crew)


async def _burst(
    plan: LoadPlan,
    site: Site,
    options: BurstOptions,
    progress: RunProgress,
    crew: Crew | None = None,
) -> Ended:
    clients = [_client(link, crew) for link in site.directors]
    try:
        facts = await _connect(clients, plan.targets, options, progress)
        recording = RecordingWriter(
            options.directory, run_manifest(plan, site, options, clients, facts)
        )
        on = present_link(site.capture_on, clients)
        by_workers = crew is not None and not crew.local and on is None
        captures = (
            []
            if by_workers and options.capture.wanted
            else open_captures(
                options.capture,
                plan.targets,
                recording,
                progress.say,
                on=on,
                client_interface=site.interface,
            )
        )
        progress.say(f"engine: {plan.engine} ({options.why_engine})")
        _say_preflight(plan, clients, facts, progress, sends_here=crew is None or crew.local)
        pollers = pollers_on(options, watch_targets(plan.targets), clients, facts, recording)
        sender = _sender(
            plan,
            recording,
            lambda tally: progress.sending(tally, _inactive(pollers)),
            progress.say,
            crew,
            options.capture if by_workers and options.capture.wanted else None,
        )
        abort = AbortWatch(options.limits, sender, pollers)
        watch = _watch(plan, sender, pollers, facts, options, progress)
        sockets = socket_watches(
            plan.targets, site.servers, server_ports(facts, plan.targets), recording
        )
        watching: list[Activity] = [*captures, *pollers, *sockets, *lab_events(site, recording)]
        shown = BurstShown(
            plan=plan,
            sender=sender,
            links=[client.link for client in clients],
            pollers=pollers,
            facts=facts,
            recording=recording,
            say=progress.say,
        )
        shows = shown_burst(shown, options.live, options.openmetrics)
        with progress:
            ended = await run([QuitKey(), *watching, sender, abort, watch, *shows], recording)
    finally:
        for client in clients:
            await client.close()
    if abort.why is not None:
        ended = "aborted"
        progress.say(f"aborted: {abort.why}")
        recording.update_manifest({"ended": f"aborted by {abort.why}"})
    complete_manifest(recording, captures, pollers)
    recording.update_manifest(sender.more_manifest(recording.manifest))
    recording.update_manifest({"engine": sender.manifest() | {"why": options.why_engine}})
    return ended


def _client(link: Link, crew: Crew | None) -> DirectorClient:
    """On a director, from this host or from a worker of a cluster."""
    if link.worker is None or crew is None:
        return director_client(link)
    from loadgen.cluster.director_client import director_client_of

    return director_client_of(link, crew)


def _sender(
    plan: LoadPlan,
    recording: RecordingWriter,
    show: Callable[[Tally], None],
    say: Callable[[str], None],
    crew: Crew | None,
    captures: CaptureOptions | None,
) -> Burst:
    """What sends the plan: this host, or the workers of a cluster, and what those capture."""
    if crew is None:
        return Burst(plan, recording, show, say)
    from loadgen.cluster.burst import ClusterBurst

    return ClusterBurst(plan, recording, show, say, crew=crew, captures=captures)


def pollers_on(
    options: BurstOptions,
    usual: Watched,
    clients: Sequence[DirectorClient],
    facts: Sequence[BootFacts],
    recording: RecordingWriter,
) -> list[Poller]:
    """A poller for each director; ``usual`` is what they watch by default."""
    return [
        Poller(
            client,
            recording,
            watched=options.watched or usual,
            facts=known,
            director_cpu=options.director_cpu,
        )
        for client, known in zip(clients, facts, strict=True)
    ]


async def _connect(
    clients: Sequence[DirectorClient],
    targets: Sequence[Target],
    options: BurstOptions,
    progress: RunProgress,
) -> list[BootFacts]:
    """Reach every director before anything is sent, and say which lacks a service."""
    facts = await connect_directors(clients, options.timeouts, progress.say, options.left_timeouts)
    for client, known in zip(clients, facts, strict=True):
        for target in targets:
            if has_service(known, target) is False:
                end = host_port(target.vip, target.port)
                progress.say(f"{client.link.name}: has no service {target.protocol} {end}")
    return facts


def run_manifest(
    plan: LoadPlan,
    site: Site,
    options: BurstOptions,
    clients: Sequence[DirectorClient],
    facts: Sequence[BootFacts],
    command: str = "burst",
) -> dict[str, Any]:
    """``run.json`` as it begins."""
    return {
        "program": {"name": "loadgen", "version": loadgen.__version__},
        "command": command,
        "command_line": list(options.command_line),
        "started_at_ns": time.time_ns(),
        "ended": None,
        "host": {"name": socket.gethostname(), "kernel": platform.release()},
        "lab": site.lab,
        **_services(plan.targets),
        "plan": plan.manifest(),
        "directors": {
            client.link.name: manifest_of(known, client.link.spec)
            | client.manifest()
            | service_facts(known, plan.targets)
            for client, known in zip(clients, facts, strict=True)
        },
        "capture": None,
        "not_measured": _not_measured(site),
    }


def _services(targets: Sequence[Target]) -> dict[str, Any]:
    """``service``, where the load has one; else that is null, and ``services`` lists all."""
    ends = [{"protocol": each.protocol, "vip": each.vip, "port": each.port} for each in targets]
    return {"service": ends[0]} if len(ends) == 1 else {"service": None, "services": ends}


def _not_measured(site: Site) -> list[dict[str, str]]:
    if site.directors:
        return []
    why = "no director was named (--director, loadgen.toml or LOADGEN_DIRECTOR)"
    return [{"what": "the director's entries and counters", "why": why}]


def lab_events(site: Site, recording: RecordingWriter) -> list[LabEvents]:
    """What is done to the lab meanwhile, if it is one."""
    return [LabEvents(site.lab, recording)] if site.lab else []


def _say_preflight(
    plan: LoadPlan,
    clients: Sequence[DirectorClient],
    facts: Sequence[BootFacts],
    progress: RunProgress,
    *,
    sends_here: bool,
) -> None:
    if not sends_here:
        progress.say("preflight: left out; ports and descriptors are those of the workers' hosts")
        return
    tables = [
        DirectorTable(
            director=client.link.name,
            buckets=known.services.conn_tab_size,
            lifetime_s=longest_decay_s(known, plan),
            resizes=known.law.table_resizes,
            most=known.conn_max,
        )
        for client, known in zip(clients, facts, strict=True)
    ]
    for line in ("preflight:", *as_text(preflight(plan, read_host(), tables))):
        progress.say(line)


def _inactive(pollers: Sequence[Poller]) -> int | None:
    """InActConn of all directors at their last polls; None where there is none to ask."""
    counts = [poller.counts for poller in pollers if poller.counts]
    return sum(inactive for _, inactive in counts) if counts else None


def _watch(
    plan: LoadPlan,
    sender: Burst,
    pollers: Sequence[Poller],
    facts: Sequence[BootFacts],
    options: BurstOptions,
    progress: RunProgress,
) -> DecayWatch:
    limits_s = [longest_decay_s(known, plan) for known in facts]
    longest_s = max(limits_s, default=0)
    limit_s = longest_s if options.observe_s is None else options.observe_s
    return DecayWatch(
        sender,
        pollers,
        limit_s if pollers else 0,
        until_settled=options.observe_s is None and bool(pollers),
        progress=lambda waited_s, most_s, left: progress.decaying(
            waited_s, most_s, left, _inactive(pollers)
        ),
    )
