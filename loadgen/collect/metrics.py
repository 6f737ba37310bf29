"""What directors hold, for Prometheus: node_exporter's names where the meaning is the same.

``node_ipvs_backend_connections_active``, ``_inactive`` and ``_weight`` mean what node_exporter's
ipvs collector means by them, and have its labels; ``director`` is ours, since one of us may watch
several. So do ``node_ipvs_connections_total`` and the totals of packets and bytes, which are the
whole director's (``/proc/net/ip_vs_stats``), whatever ``--service`` narrows. All else is called
``loadgen_…``. A director that is lost has nothing but ``up`` 0 and when it last answered: what was
polled before is not of now.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

from analyzer.ipvs.addresses import host_port
from analyzer.units import NS_PER_S
from loadgen.live.http_server import REQUEST_WITHIN_S, serving
from loadgen.session.background import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from prometheus_client.core import Metric
    from prometheus_client.registry import Collector

    from loadgen.live.view import DirectorView, ServerView, View

BACKEND = (
    "local_address",
    "local_port",
    "local_mark",
    "proto",
    "remote_address",
    "remote_port",
    "director",
)
"""node_exporter's labels of a backend, in its order, and ours."""


GAUGES = {
    "node_ipvs_backend_connections_active": "The current active connections by local and remote "
    "address.",
    "node_ipvs_backend_connections_inactive": "The current inactive connections by local and "
    "remote address.",
    "node_ipvs_backend_connections_weight": "The current backend weight by local and remote "
    "address.",
}
COUNTERS = {
    "connections": "Connections scheduled to a real server since it was added or zeroed.",
    "incoming_packets": "Packets from clients to a real server.",
    "outgoing_packets": "Packets from a real server to clients (none pass in dr and tun).",
    "incoming_bytes": "Bytes from clients to a real server.",
    "outgoing_bytes": "Bytes from a real server to clients (none pass in dr and tun).",
}
TOTALS = {
    "connections": "The total number of connections made.",
    "incoming_packets": "The total number of incoming packets.",
    "outgoing_packets": "The total number of outgoing packets.",
    "incoming_bytes": "The total amount of incoming data.",
    "outgoing_bytes": "The total amount of outgoing data.",
}
"""Both in the order of the kernel's counters."""


class ViewCollector:
    """A prometheus_client collector over the last view."""

    def __init__(self, view: Callable[[], View]) -> None:
        self._view = view

    def collect(self) -> Iterator[Metric]:
        """All families, made anew for each scrape, so that nothing outlives its view."""
        directors = self._view().directors
        yield _up(directors)
        yield _polled(directors)
        alive = [
            (director, server)
            for director in directors
            if director.up
            for server in director.servers
        ]
        yield from _totals(directors)
        yield from _backends(alive)
        yield from _counted(alive)
        yield _entries(alive)
        yield _drained(alive)


def _up(directors: tuple[DirectorView, ...]) -> Metric:
    family = GaugeMetricFamily(
        "loadgen_director_up", "1 if the director answers, else 0.", labels=["director"]
    )
    for director in directors:
        family.add_metric([director.name], float(director.up))
    return family


def _polled(directors: tuple[DirectorView, ...]) -> Metric:
    family = GaugeMetricFamily(
        "loadgen_director_last_poll_timestamp_seconds",
        "When the director last answered, Unix time.",
        labels=["director"],
    )
    for director in directors:
        if director.polled_ns is not None:
            family.add_metric([director.name], director.polled_ns / NS_PER_S)
    return family


def _totals(directors: tuple[DirectorView, ...]) -> Iterator[Metric]:
    for number, (name, text) in enumerate(TOTALS.items()):
        family = CounterMetricFamily(f"node_ipvs_{name}", text, labels=["director"])
        for director in directors:
            if director.up and director.totals is not None:
                family.add_metric([director.name], director.totals[number])
        yield family


def _backends(alive: list[tuple[DirectorView, ServerView]]) -> Iterator[Metric]:
    for (name, text), value in zip(GAUGES.items(), ("active", "inactive", "weight"), strict=True):
        family = GaugeMetricFamily(name, text, labels=list(BACKEND))
        for director, server in alive:
            family.add_metric(labels(director, server), float(getattr(server, value)))
        yield family


def _counted(alive: list[tuple[DirectorView, ServerView]]) -> Iterator[Metric]:
    for number, (name, text) in enumerate(COUNTERS.items()):
        family = CounterMetricFamily(f"loadgen_real_server_{name}", text, labels=list(BACKEND))
        for director, server in alive:
            if server.counters is not None:
                family.add_metric(labels(director, server), server.counters[number])
        yield family


def _entries(alive: list[tuple[DirectorView, ServerView]]) -> Metric:
    family = GaugeMetricFamily(
        "loadgen_real_server_entries",
        "Connection entries by their state; absent where entries are not read.",
        labels=[*BACKEND, "state"],
    )
    for director, server in alive:
        for state, n in (server.held.states if server.held else {}).items():
            family.add_metric([*labels(director, server), state], float(n))
    return family


def _drained(alive: list[tuple[DirectorView, ServerView]]) -> Metric:
    family = GaugeMetricFamily(
        "loadgen_real_server_empty_timestamp_seconds",
        "When the last entry of a real server of weight 0 will have gone at the latest, if no "
        "packet comes; absent while traffic renews entries.",
        labels=list(BACKEND),
    )
    for director, server in alive:
        if server.forecast is not None and not server.forecast.renewed:
            family.add_metric(labels(director, server), server.forecast.last_ns / NS_PER_S)
    return family


def labels(director: DirectorView, server: ServerView) -> list[str]:
    """A real server's, as node_exporter writes them: a mark in eight hexadecimal digits."""
    mark = "" if server.fwmark is None else f"{server.fwmark:08X}"
    local = (server.vip or "", str(server.port or 0), mark)
    return [*local, server.protocol, server.real_server, str(server.real_port), director.name]


class MetricsServer(Waiting):
    """An activity that serves ``/metrics`` while the run is on."""

    def __init__(
        self,
        collectors: Iterable[Collector],
        listening: socket.socket,
        say: Callable[[str], None],
        within_s: float = REQUEST_WITHIN_S,
    ) -> None:
        """An activity.

        Args:
            collectors: give the metrics at each scrape, in a thread.
            listening: where; it is closed at the end.
            say: takes the address, for the operator.
            within_s: how long a request may take to arrive.
        """
        self._registry = CollectorRegistry()
        for collector in collectors:
            self._registry.register(collector)
        address, port = listening.getsockname()[:2]
        self.url = f"http://{host_port(address, port)}/metrics"
        self._say = say
        self._scraping = asyncio.Lock()
        self._serving = serving(
            {"/metrics": self._scraped},
            listening,
            host_names=(socket.gethostname(),),
            within_s=within_s,
        )

    async def __aenter__(self) -> MetricsServer:
        await self._serving.__aenter__()
        self._say(f"metrics: {self.url}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._serving.__aexit__(None, None, None)

    async def done(self) -> None:
        """It never holds a run up."""

    async def _scraped(self, request: web.Request) -> web.StreamResponse:
        """One at a time and in a thread: polls do not wait for it."""
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        names = request.query.getall("name[]", [])
        registry = self._registry.restricted_registry(names) if names else self._registry
        async with self._scraping:
            body = await asyncio.to_thread(encode, registry)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response
