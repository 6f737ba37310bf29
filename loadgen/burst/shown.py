"""What a burst shows while it is on: the live page, the metrics, the view of directors for both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from analyzer.recording.directory import RecordingWriter
    from loadgen.collect.watch import DirectorsWatch
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.link import Link
    from loadgen.director.polling.poller import Poller
    from loadgen.live.page_server import PageServer
    from loadgen.load.engines.activity import Burst
    from loadgen.load.plan import LoadPlan
    from loadgen.session.run import Activity
    from loadgen.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class BurstShown:
    """A burst that is to be shown.

    Attributes:
        links: the directors', in the order of ``pollers`` and ``facts``.
        say: takes lines for the operator.
    """

    plan: LoadPlan
    sender: Burst
    links: Sequence[Link]
    pollers: Sequence[Poller]
    facts: Sequence[BootFacts]
    recording: RecordingWriter
    say: Callable[[str], None]


def shown_burst(
    burst: BurstShown, live: PageServer | None, openmetrics: socket.socket | None
) -> list[Activity]:
    """The activities that show a burst, in the order in which they start; none if none is wanted.

    Args:
        burst: what is shown.
        live: the server of the live page; None without one.
        openmetrics: listens where the metrics are served; None not to.
    """
    if live is None and openmetrics is None:
        return []
    from loadgen.collect.totals import Totals
    from loadgen.collect.watch import DirectorsWatch

    totals = [Totals(link) for link in burst.links] if openmetrics else []
    view = DirectorsWatch(
        burst.pollers, burst.facts, burst.recording, every_s=1, show=lambda _: None, totals=totals
    )
    shown: list[Activity] = [*totals, view]
    if live is not None:
        shown.append(_page(burst, live, view))
    if openmetrics is not None:
        shown.append(_metrics(burst, openmetrics, view))
    return shown


def _page(burst: BurstShown, server: PageServer, view: DirectorsWatch) -> Activity:
    from loadgen.live.page import LivePage, LiveSources
    from loadgen.live.rates import RequestRates
    from loadgen.live.snapshot import Sending

    sender = burst.sender
    rates = RequestRates(int(burst.recording.manifest["started_at_ns"]))
    sender.followers.append(rates.add)
    sources = LiveSources(
        title=_title(burst.plan.targets),
        pollers=burst.pollers,
        watch=view,
        sending=Sending(tally=sender.tally, rates=rates, planned=burst.plan.expected_requests),
    )
    return LivePage(server, sources, burst.recording, burst.say)


def _title(targets: Sequence[Target]) -> str:
    if len(targets) == 1:
        return f"Burst at {targets[0].vip}, port {targets[0].port}"
    return f"Burst at {len(targets)} services from {host_port(targets[0].vip, targets[0].port)} on"


def _metrics(burst: BurstShown, listening: socket.socket, view: DirectorsWatch) -> Activity:
    from loadgen.burst.metrics import RequestMetrics
    from loadgen.collect.metrics import MetricsServer, ViewCollector

    sender = burst.sender
    requests = RequestMetrics(
        burst.plan.expected_requests, lambda: not sender.ended.is_set(), sender.under_way
    )
    sender.followers.append(requests.add)
    collectors = (ViewCollector(lambda: view.view), requests)
    return MetricsServer(collectors, listening, burst.say)
