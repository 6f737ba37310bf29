"""A recording whose connections carried three requests each counts every connection once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.checks.readings import syn_retries
from analyzer.recording.directory import CAPTURE, Recording
from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP
from tests.unit.analyzer.builders_run import Stage, closed

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from analyzer.report import Analysis

EACH, CONNECTIONS = 3, 40
ENDS_S = 0.4  # a connection's FIN, after its SYN


def at(seconds: float) -> int:
    return BOOT_NS + round(seconds * NS)


@dataclass(frozen=True, kw_only=True)
class Kept(Stage):
    """Each of its connections carried ``EACH`` requests; the second of the first one failed."""

    reused: int | None = 1

    def requests(self) -> list[dict[str, Any]]:
        rows = []
        for connection, life in enumerate(self.lives):
            for place in range(EACH):
                begun_s = life.sent[0].at_s + 0.12 * place
                first, last = place == 0, place == EACH - 1
                rows.append(
                    {
                        "id": connection * EACH + place,
                        "protocol": "TCP",
                        "vip": VIP,
                        "port": PORT,
                        "scheduled": at(begun_s),
                        "started": at(begun_s),
                        "connected": at(begun_s + 0.01) if first else None,
                        "first_byte": at(begun_s + 0.05),
                        "ended": at(begun_s + 0.06 + 0.01 * place),
                        "source_ip": CLIENT,
                        "source_port": life.held.port,
                        "status": 200,
                        "error": "HTTP 404" if (connection, place) == (0, 1) else None,
                        "reused": None if first else self.reused,
                        "closed": at(life.sent[0].at_s + ENDS_S) if last else None,
                        "closer": "client" if last else None,
                    }
                )
        return rows

    def poll(self, writer: RecordingWriter, at_s: float) -> None:
        if at_s < 999.1:
            writer.extend("requests", self.requests())
        super().poll(writer, at_s)


def kept(**more: Any) -> Kept:
    lives = [closed(40000 + n, 1000.0 + 0.05 * n) for n in range(CONNECTIONS)]
    return Kept(lives=lives, until_s=1026.0, **more)


@pytest.fixture(scope="module")
def beside_packets(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return kept().played(tmp_path_factory.mktemp("kept") / "run")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    path = tmp_path_factory.mktemp("kept") / "run"
    kept().recorded(path)
    (path / CAPTURE).unlink()
    return analyse(Recording.open(path))


def test_requests_and_connections_are_counted_each_for_itself(beside_packets: Analysis) -> None:
    found = beside_packets.requests
    assert (found.sent, found.failed, found.connections) == (120, 1, 40)
    assert found.rate_per_s is not None
    assert found.connections_per_s == pytest.approx(found.rate_per_s / 3)


def test_connect_counts_once_a_connection_and_the_rest_once_a_request(
    beside_packets: Analysis,
) -> None:
    latencies = beside_packets.pictures.latencies
    assert latencies is not None
    n = {(row.name, row.since): row.n for row in latencies.percentiles}
    assert n == {("connect", "send"): 40, ("first_byte", "send"): 120, ("total", "send"): 119}


def test_no_repeated_syn_is_made_of_requests_that_needed_none(beside_packets: Analysis) -> None:
    (reading,) = syn_retries(beside_packets, ())
    assert (reading.value, reading.n) == (0, 40)


@pytest.mark.parametrize("which", ["beside_packets", "alone"])
def test_each_entry_is_matched_with_its_connection_once(
    which: str, request: pytest.FixtureRequest
) -> None:
    analysis: Analysis = request.getfixturevalue(which)
    (row,) = analysis.lifetimes
    assert (row.state, row.n, row.n_expired) == ("FIN_WAIT", 40, 40)
    assert not {"port-reuse-delay", "foreign-entries"} & {one.id for one in analysis.findings}


def test_without_packets_the_end_of_the_connection_stands_for_the_last_one(
    alone: Analysis,
) -> None:
    (row,) = alone.lifetimes
    assert row.timeout_measured_s is not None
    assert row.timeout_measured_s.value == pytest.approx(20, abs=row.timeout_measured_s.uncertainty)


def test_a_connections_trace_has_its_handshake_its_slowest_request_and_an_error(
    beside_packets: Analysis,
) -> None:
    (trace,) = [one for one in beside_packets.traces if one.error]
    assert trace.client.endswith(":40000")
    assert trace.connect_ms == pytest.approx(10)
    assert trace.total_ms == pytest.approx(80)


def test_the_port_budget_goes_by_connections(beside_packets: Analysis) -> None:
    (finding,) = [one for one in beside_packets.findings if one.id == "port-budget"]
    assert "connections/s a source port is reused" in finding.title
    assert "120" in finding.evidence or "/s for" in finding.evidence
    assert "on 40 connections" in finding.evidence


def test_the_advice_on_tcpfin_expects_an_entry_for_each_connection(
    beside_packets: Analysis, tmp_path: Path
) -> None:
    """At ten times the rate: a third of the entries that as many requests would leave alone."""

    def expected(analysis: Analysis) -> int:
        (finding,) = [one for one in analysis.findings if one.id == "tcpfin-governs"]
        return int(finding.advice.rpartition(" about ")[2].split()[0].replace(",", ""))

    single = expected(kept(reused=None).played(tmp_path / "run"))
    assert expected(beside_packets) == pytest.approx(single / 3, abs=1)
