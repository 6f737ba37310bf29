"""What Prometheus scrapes."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadgen.collect.metrics import MetricsServer, ViewCollector
from loadgen.collect.totals import parse_totals
from loadgen.director.counters import Counters
from loadgen.live.http_server import REQUEST_WITHIN_S
from loadgen.live.view import DrainForecast, View
from loadgen.session.listening import listen
from tests.unit.loadgen.collect.builders_view import NOW_NS, director, server, view
from tests.unit.waiting import LIMIT_S

STATS = """\
   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
     1AF     1203        0            1F2A3                0

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       0        0        0                0                0
"""


def scraped(what: View) -> str:
    async def go() -> str:
        async with (
            metrics(what) as found,
            aiohttp.ClientSession() as reader,
            reader.get(found.url) as answer,
        ):
            return await answer.text()

    return asyncio.run(go())


def metrics(what: View, within_s: float = LIMIT_S) -> MetricsServer:
    listening = listen("--openmetrics", "127.0.0.1", 0)
    return MetricsServer((ViewCollector(lambda: what),), listening, lambda _: None, within_s)


def samples(what: View, **where: Any) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(scraped(what)):
        for sample in family.samples:
            if where.items() <= sample.labels.items():
                found[sample.name] = sample.value
    return found


def test_a_backend_has_node_exporters_names_and_labels() -> None:
    (family,) = [
        family
        for family in text_string_to_metric_families(scraped(view(director(server()))))
        if family.name == "node_ipvs_backend_connections_inactive"
    ]
    (sample,) = family.samples
    assert sample.value == 20
    assert sample.labels == {
        "local_address": "192.168.10.2",
        "local_port": "80",
        "local_mark": "",
        "remote_address": "192.168.10.21",
        "remote_port": "80",
        "proto": "TCP",
        "director": "bal01",
    }


def test_all_that_the_table_shows_is_served() -> None:
    found = samples(view(director(server())), director="bal01")
    assert found["loadgen_director_up"] == 1
    assert found["node_ipvs_backend_connections_active"] == 3
    assert found["node_ipvs_backend_connections_weight"] == 1
    assert found["loadgen_real_server_connections_total"] == 100
    assert found["loadgen_real_server_incoming_bytes_total"] == 40_000
    assert found["loadgen_real_server_entries"] == 20


def test_a_directors_totals_have_node_exporters_names() -> None:
    with_totals = replace(director(server()), totals=Counters(431, 4611, 2, 127_651, 3))
    found = samples(view(with_totals), director="bal01")
    assert found["node_ipvs_connections_total"] == 431
    assert found["node_ipvs_incoming_packets_total"] == 4611
    assert found["node_ipvs_outgoing_packets_total"] == 2
    assert found["node_ipvs_incoming_bytes_total"] == 127_651
    assert found["node_ipvs_outgoing_bytes_total"] == 3
    down = samples(view(replace(with_totals, up=False)), director="bal01")
    assert not [name for name in down if name.startswith("node_ipvs")]


def test_totals_are_read_as_the_kernel_prints_them() -> None:
    assert parse_totals(STATS) == Counters(431, 4611, 0, 127_651, 0)
    assert parse_totals("") is None


def test_of_a_director_that_is_lost_nothing_old_is_served() -> None:
    found = samples(view(director(server(), up=False), director(server(), name="bal02")))
    lost = samples(view(director(server(), up=False)), director="bal01")
    assert set(lost) == {"loadgen_director_up", "loadgen_director_last_poll_timestamp_seconds"}
    assert lost["loadgen_director_up"] == 0
    assert found["node_ipvs_backend_connections_active"] == 3


def test_what_is_not_measured_is_absent() -> None:
    found = samples(view(director(server(held=None, counters=None))), director="bal01")
    assert "loadgen_real_server_entries" not in found
    assert "loadgen_real_server_connections_total" not in found


def test_a_firewall_mark_is_written_as_node_exporter_writes_it() -> None:
    marked = server(vip=None, port=None, fwmark=258, protocol="FWM")
    found = samples(view(director(marked)), local_mark="00000102", local_address="", local_port="0")
    assert found["node_ipvs_backend_connections_weight"] == 1


@pytest.mark.parametrize(("renewed", "promised"), [(0, True), (3, False)])
def test_a_promise_is_made_only_where_no_traffic_renews(renewed: int, promised: bool) -> None:
    forecast = DrainForecast(first_ns=NOW_NS, last_ns=NOW_NS + 500_000_000, renewed=renewed)
    found = samples(view(director(server(weight=0, forecast=forecast))))
    at_s = found.get("loadgen_real_server_empty_timestamp_seconds")
    assert at_s == (pytest.approx(NOW_NS / 1e9 + 0.5) if promised else None)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/metrics", {}, 200),
        ("HEAD", "/metrics", {}, 200),
        ("GET", "/metrics", {"Host": socket.gethostname().upper()}, 200),
        ("GET", "/metrics", {"Host": "evil.example"}, 403),
        ("GET", "/metrics", {"Origin": "http://evil.example"}, 403),
        ("GET", "/metrics", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("POST", "/metrics", {}, 405),
        ("GET", "/", {}, 404),
        ("GET", "/metrics/../../etc/passwd", {}, 404),
        ("GET", "/anything", {}, 404),
    ],
)
def test_only_a_scrape_of_this_machine_is_answered(
    method: str, path: str, headers: dict[str, str], status: int
) -> None:
    async def go() -> int:
        async with metrics(view(director(server()))) as found, aiohttp.ClientSession() as reader:
            url = found.url.removesuffix("/metrics") + path
            async with reader.request(method, url, headers=headers) as answer:
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                return answer.status

    assert asyncio.run(go()) == status


SLOW = (b"", b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"GET /met")
ONE = b"GET /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize("sent", [*SLOW, ONE, ONE + SLOW[1]])
def test_who_does_not_end_a_request_is_left(sent: bytes) -> None:
    async def go() -> float:
        async with metrics(view(director(server())), within_s=0.3) as found:
            port = int(found.url.split(":")[2].split("/")[0])
            began_s = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for byte in sent:  # one at a time, as slowloris sends them
                writer.write(bytes([byte]))
            await asyncio.wait_for(reader.read(), REQUEST_WITHIN_S)
            writer.close()
            return time.monotonic() - began_s

    assert 0.2 < asyncio.run(go()) < REQUEST_WITHIN_S


def test_many_idle_connections_take_no_thread_and_do_not_shut_others_out() -> None:
    async def go() -> None:
        async with metrics(view(director(server())), within_s=0.5) as found:
            port = int(found.url.split(":")[2].split("/")[0])
            before = threading.active_count()
            idle = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
            assert threading.active_count() == before
            closed = asyncio.gather(*(reader.read() for reader, _ in idle))
            assert await asyncio.wait_for(closed, REQUEST_WITHIN_S) == [b""] * len(idle)
            async with aiohttp.ClientSession() as reader, reader.get(found.url) as answer:
                assert answer.status == 200
            for _, writer in idle:
                writer.close()

    asyncio.run(go())
