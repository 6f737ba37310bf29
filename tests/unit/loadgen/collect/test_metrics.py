"""What Prometheus scrapes."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from loadgen.collect.metrics import serving
from loadgen.collect.totals import parse_totals
from loadgen.collect.view import DrainForecast, View
from loadgen.director.polling.counters import Counters
from loadgen.session.listening import listen
from tests.unit.loadgen.collect.builders_view import NOW_NS, director, server, view

STATS = """\
   Total Incoming Outgoing         Incoming         Outgoing
   Conns  Packets  Packets            Bytes            Bytes
     1AF     1203        0            1F2A3                0

 Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s
       0        0        0                0                0
"""


def scraped(what: View) -> str:
    with (
        serving(lambda: what, listen("--openmetrics", "127.0.0.1", 0)) as url,
        urllib.request.urlopen(url, timeout=5) as answer,
    ):
        return str(answer.read().decode())


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
    told = replace(director(server()), totals=Counters(431, 4611, 2, 127_651, 3))
    found = samples(view(told), director="bal01")
    assert found["node_ipvs_connections_total"] == 431
    assert found["node_ipvs_incoming_packets_total"] == 4611
    assert found["node_ipvs_outgoing_packets_total"] == 2
    assert found["node_ipvs_incoming_bytes_total"] == 127_651
    assert found["node_ipvs_outgoing_bytes_total"] == 3
    gone = samples(view(replace(told, up=False)), director="bal01")
    assert not [name for name in gone if name.startswith("node_ipvs")]


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


@pytest.mark.parametrize(("renewed", "told"), [(0, True), (3, False)])
def test_a_promise_is_made_only_where_no_traffic_renews(renewed: int, told: bool) -> None:
    forecast = DrainForecast(first_ns=NOW_NS, last_ns=NOW_NS + 500_000_000, renewed=renewed)
    found = samples(view(director(server(weight=0, forecast=forecast))))
    at_s = found.get("loadgen_real_server_empty_timestamp_seconds")
    assert at_s == (pytest.approx(NOW_NS / 1e9 + 0.5) if told else None)
