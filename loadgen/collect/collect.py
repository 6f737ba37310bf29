"""The watch: directors observed without load, recorded as any run, shown and served meanwhile."""

from __future__ import annotations

import asyncio
import gc
import platform
import socket
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import loadgen
from analyzer.recording.directory import RecordingWriter
from loadgen.capture.start import open_captures
from loadgen.collect.keep import Keeper
from loadgen.collect.metrics import MetricsServer, ViewCollector
from loadgen.collect.totals import Totals
from loadgen.collect.watch import DirectorsWatch
from loadgen.director.boot_facts import manifest_of
from loadgen.director.connect import connect_directors, present_link
from loadgen.director.links.clients import director_client
from loadgen.director.polling.pace import DIRECTOR_CPU
from loadgen.director.polling.poller import Poller
from loadgen.errors import UsageProblem
from loadgen.lab.faults.recorder import LabEvents
from loadgen.session.background import Waiting
from loadgen.session.keys import QuitKey
from loadgen.session.manifest import complete_manifest
from loadgen.session.run import run
from loadgen.sockets.watch import socket_watches
from loadgen.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from analyzer.ipvs.states import Timeouts
    from loadgen.capture.start import CaptureOptions
    from loadgen.collect.keep import Keep
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.polling.watched import Watched
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.live.page_server import PageServer
    from loadgen.live.table import LiveTable
    from loadgen.session.run import Activity, Ended
    from loadgen.sites import Site


_COLLECT_EVERY = 200_000
"""Objects between two collections of garbage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """How directors are watched.

    Attributes:
        watched: which services.
        duration_s: for how long; None until Ctrl-C.
        every_s: how often the table is shown anew.
        capture: also the packets.
        keep: how much stays on disk.
        openmetrics: listens where the metrics are served; None not to.
        timeouts: the directors', where the operator knows them and they cannot be read.
        left_timeouts: what is done about timeouts that a killed sweep left behind.
        live: the server of the live page; None without one.
    """

    directory: Path
    command_line: Sequence[str]
    watched: Watched
    duration_s: float | None
    every_s: float
    capture: CaptureOptions
    keep: Keep
    openmetrics: socket.socket | None
    timeouts: Timeouts | None
    director_cpu: float = DIRECTOR_CPU
    left_timeouts: LeftTimeouts = "put back"
    live: PageServer | None = None


class Until(Waiting):
    """An activity that holds a run up for a time, or for ever."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds

    async def done(self) -> None:
        """Return when the time is up."""
        if self._seconds is None:
            await asyncio.Event().wait()
        else:
            await asyncio.sleep(self._seconds)


async def collect(site: Site, options: CollectOptions, shown: LiveTable) -> Ended:
    """Watch the directors, and leave a recording.

    Raises:
        UsageProblem: no director, or one that cannot be used.
        RecordingError: the directory cannot take a recording.
    """
    if not site.directors:
        raise UsageProblem(
            "no director to watch: name one with --director, in loadgen.toml or LOADGEN_DIRECTOR"
        )
    clients = [director_client(link) for link in site.directors]
    try:
        facts = await connect_directors(clients, options.timeouts, shown.say, options.left_timeouts)
        services = targets(facts, options.watched)
        captured = _captured(services, options)
        recording = RecordingWriter(options.directory, _manifest(site, options, clients, facts))
        captures = (
            open_captures(
                _bounded(options),
                [captured],
                recording,
                shown.say,
                on=present_link(site.capture_on, clients),
                client_interface=site.interface,
            )
            if captured
            else []
        )
        pollers = [
            Poller(
                client,
                recording,
                watched=options.watched,
                facts=known,
                director_cpu=options.director_cpu,
                waits_for_it=True,
            )
            for client, known in zip(clients, facts, strict=True)
        ]
        totals = [Totals(client.link) for client in clients] if options.openmetrics else []
        watch = DirectorsWatch(
            pollers, facts, recording, every_s=options.every_s, show=shown.show, totals=totals
        )
        activities: list[Activity] = [
            QuitKey(),
            *captures,
            *pollers,
            *totals,
            *socket_watches(services, site.servers, _ports(facts, options.watched), recording),
            *([LabEvents(site.lab, recording)] if site.lab else []),
            watch,
            Keeper(options.keep.without_capture(bool(captures)), recording),
            *_metrics(options, watch, shown),
            *_live(options, pollers, watch, recording, shown),
            Until(options.duration_s),
        ]
        with ExitStack() as stack:
            stack.enter_context(_rarely_collected())
            stack.enter_context(shown)
            ended = await run(activities, recording)
    finally:
        for client in clients:
            await client.close()
    complete_manifest(recording, captures, pollers)
    return ended


@contextmanager
def _rarely_collected() -> Iterator[None]:
    """Garbage is collected less often: each poll of many services makes as many objects anew."""
    threshold = gc.get_threshold()
    gc.set_threshold(_COLLECT_EVERY, *threshold[1:])
    try:
        yield
    finally:
        gc.set_threshold(*threshold)


def targets(facts: Sequence[BootFacts], watched: Watched) -> list[Target]:
    """The watched services that have an address, over all directors, each once.

    Of a netfilter director they are those that were named.
    """
    named = watched.named or () if any(known.kind == "netfilter" for known in facts) else ()
    tracked = [
        Target(vip=name.vip, port=name.port, protocol=name.protocol or "TCP")
        for name in named
        if name.vip and name.port
    ]
    services = [
        Target(vip=service.address, port=service.port, protocol=service.protocol)
        for known in facts
        for service in known.services.services
        if watched.has_service(service) and service.address and service.port
    ]
    return list(dict.fromkeys([*services, *tracked]))


def _ports(facts: Sequence[BootFacts], watched: Watched) -> set[int]:
    """Where clients and real servers have their ends."""
    services = [
        service
        for known in facts
        for service in known.services.services
        if watched.has_service(service)
    ]
    real = {server.port for service in services for server in service.destinations}
    real |= {target.port for target in targets(facts, watched)}
    return (real | {service.port for service in services if service.port}) - {0}


def _captured(services: Sequence[Target], options: CollectOptions) -> Target | None:
    if not options.capture.wanted:
        return None
    if options.keep.seconds is not None and options.capture.size_bytes is None:
        raise UsageProblem(
            f"--keep {options.keep.text} with --capture: give the packets their own --capture-size"
        )
    if len(services) != 1:
        names = ", ".join(f"{service.vip}:{service.port}" for service in services) or "none"
        raise UsageProblem(f"--capture: name the one --service to capture (found: {names})")
    return services[0]


def _bounded(options: CollectOptions) -> CaptureOptions:
    """The packets get half of what is kept, unless they were given a size of their own."""
    if options.capture.size_bytes is not None or options.keep.size_bytes is None:
        return options.capture
    return replace(options.capture, size_bytes=options.keep.size_bytes // 2)


def _metrics(
    options: CollectOptions, watch: DirectorsWatch, shown: LiveTable
) -> list[MetricsServer]:
    if options.openmetrics is None:
        return []
    collectors = (ViewCollector(lambda: watch.view),)
    return [MetricsServer(collectors, options.openmetrics, shown.say)]


def _live(
    options: CollectOptions,
    pollers: Sequence[Poller],
    watch: DirectorsWatch,
    recording: RecordingWriter,
    shown: LiveTable,
) -> list[Activity]:
    if options.live is None:
        return []
    from loadgen.live.page import LivePage, LiveSources

    names = ", ".join(poller.name for poller in pollers)
    sources = LiveSources(title=f"Watching {names}", pollers=pollers, watch=watch, sending=None)
    return [LivePage(options.live, sources, recording, shown.say)]


def _manifest(
    site: Site,
    options: CollectOptions,
    clients: Sequence[DirectorClient],
    facts: Sequence[BootFacts],
) -> dict[str, Any]:
    not_measured = [{"what": "requests", "why": "a watch sends none"}]
    if not options.capture.wanted:
        what = "packets, and so every prediction from them"
        not_measured.append({"what": what, "why": "--capture was not told"})
    return {
        "program": {"name": "loadgen", "version": loadgen.__version__},
        "command": "collect",
        "command_line": list(options.command_line),
        "started_at_ns": time.time_ns(),
        "planned_s": options.duration_s,
        "ended": None,
        "host": {"name": socket.gethostname(), "kernel": platform.release()},
        "lab": site.lab,
        "service": None,
        "directors": {
            client.link.name: manifest_of(known, client.link.spec)
            for client, known in zip(clients, facts, strict=True)
        },
        "capture": None,
        "not_measured": not_measured,
    }
