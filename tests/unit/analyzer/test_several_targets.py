"""A burst at two VIPs: entries of each belong to its service, and figures are by target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.ipvs.addresses import host_port
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.report import to_json
from reports.export.markdown import render_markdown
from reports.run.page import render_page
from reports.run.text import summary_lines
from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP, pcap
from tests.unit.analyzer.builders_run import FIRST, SECOND, Life, Stage, closed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from analyzer.report import Analysis

OTHER = "192.168.10.102"
FACTS: dict[str, Any] = {
    "hz": 100,
    "timer_phase_s": 0.0,
    "uptime_step_s": 0.0,
    "timeouts": {"tcp": 900, "tcpfin": 20, "udp": 300},
    "macs": ["02:00:00:00:00:11"],
}


def service(vip: str) -> dict[str, Any]:
    return {"protocol": "TCP", "vip": vip, "port": PORT}


class WithoutPolls:
    """A writer that takes no row of ``polls/``: another VIP's stage writes these."""

    def __init__(self, writer: RecordingWriter) -> None:
        self._writer = writer

    def append(self, table: str, row: Mapping[str, Any]) -> None:
        if table != "polls":
            self._writer.append(table, row)


@dataclass(frozen=True, kw_only=True)
class Both:
    """Connections to two VIPs of one director, polled together."""

    first: Sequence[Life]
    second: Sequence[Life]
    failed: frozenset[str] = frozenset()
    lacking: bool = False  # the director has no service for the second
    events: Sequence[dict[str, Any]] = ()

    def played(self, path: Path) -> Analysis:
        stages = (
            Stage(lives=self.first, vip=VIP, until_s=1040),
            Stage(lives=self.second, vip=OTHER, until_s=1040),
        )
        has = {"has_service": True, "real_servers": 2}
        hasnt = {"has_service": False, "real_servers": None} if self.lacking else has
        facts = FACTS | {"services": [service(VIP) | has, service(OTHER) | hasnt]}
        manifest = {
            "command": "burst",
            "started_at_ns": BOOT_NS + 999 * NS,
            "service": None,
            "services": [service(VIP), service(OTHER)],
            "directors": {"bal01": facts},
        }
        writer = RecordingWriter(path, manifest)
        writer.capture_path.write_bytes(
            pcap(
                (BOOT_NS + round(at_s * NS), frame)
                for at_s, frame in sorted(
                    (seg.at_s, stage.frame(seg))
                    for stage in stages
                    for life in stage.lives
                    for seg in life.sent
                )
            )
        )
        writer.extend("requests", self.requests())
        writer.extend("events", self.events)
        quiet: Any = WithoutPolls(writer)
        for at_s in np.arange(999.03, 1040, 0.1).tolist():
            stages[0].poll(writer, at_s)
            if not self.lacking:
                stages[1].poll(quiet, at_s)
        writer.close("completed")
        return analyse(Recording.open(path))

    def requests(self) -> list[dict[str, Any]]:
        lives = [(VIP, life) for life in self.first] + [(OTHER, life) for life in self.second]
        rows = []
        for number, (vip, life) in enumerate(sorted(lives, key=lambda each: each[1].sent[0].at_s)):
            at_ns = BOOT_NS + round(life.sent[0].at_s * NS)
            bad = vip in self.failed
            rows.append(
                {
                    "id": number,
                    "kind": "HEAD",
                    "host": vip,
                    **service(vip),
                    "scheduled": at_ns,
                    "started": at_ns,
                    "connected": None if bad else at_ns + NS // 10,
                    "ended": None if bad else at_ns + (2 if vip == VIP else 3) * NS // 10,
                    "source_ip": CLIENT,
                    "source_port": life.held.port,
                    "error": "timed out: no connection" if bad else None,
                    "failure": "timeout" if bad else None,
                }
            )
        return rows


def lives(*ports: int, began_s: float = 1000.0) -> list[Life]:
    return [
        closed(port, began_s + 0.3 * n, server=(FIRST, SECOND)[n % 2])
        for n, port in enumerate(ports)
    ]


BURST = Both(first=lives(40001, 40002, 40003), second=lives(40001, 40004, began_s=1000.1))
"""Port 40001 serves both VIPs at a time, as a kernel may have it."""


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return BURST.played(tmp_path_factory.mktemp("both") / "run")


def test_every_target_has_its_requests_its_latency_and_its_peaks(analysis: Analysis) -> None:
    rows = to_json(analysis)["targets"]
    assert [(row["vip"], row["port"], row["sent"], row["succeeded"]) for row in rows] == [
        (VIP, 80, 3, 3),
        (OTHER, 80, 2, 2),
    ]
    assert [row["connections"] for row in rows] == [3, 2]
    assert [round(row["total_ms"]["p50"]) for row in rows] == [200, 300]
    assert [row["peaks"] for row in rows] == [
        [{"director": name, "active": 2, "inactive": 3} for name in ("bal01", None)],
        [{"director": name, "active": 2, "inactive": 2} for name in ("bal01", None)],
    ]


def test_entries_of_both_targets_are_predicted_and_observed(analysis: Analysis) -> None:
    (row,) = analysis.agreement
    assert (row.entries_observed, row.entries_predicted) == (5, 5)
    assert row.state_matches == row.state_samples > 0
    assert row.inactive_max_error == row.active_max_error == 0
    assert row.residuals.get("unexplained", 0) == 0
    assert [(group.state, group.n, group.n_expired) for group in analysis.lifetimes] == [
        ("FIN_WAIT", 5, 5)
    ]
    assert {finding.id for finding in analysis.findings}.isdisjoint(
        {"foreign-entries", "service-missing", "requests-failed", "vip-unanswered"}
    )


def test_the_figures_are_in_page_terminal_and_markdown(analysis: Analysis) -> None:
    assert 'id="targets"' in render_page(analysis)
    lines = summary_lines(analysis)
    head = next(line for line in lines if line.startswith("target "))
    assert head.split("  ")[-1].strip() == "InActConn on bal01"
    assert any(line.startswith(f"{host_port(OTHER, 80)} ") for line in lines)
    assert "## By VIP" in render_markdown(analysis, {})


def test_one_target_has_no_such_table(tmp_path: Path) -> None:
    alone = Stage(lives=lives(40001), until_s=1040).played(tmp_path)
    assert to_json(alone)["targets"] == []
    assert 'id="targets"' not in render_page(alone)


def test_packets_to_a_service_that_the_director_lacks_make_no_entry(tmp_path: Path) -> None:
    lacking = replace(BURST, lacking=True, failed=frozenset({OTHER})).played(tmp_path / "run")
    (row,) = lacking.agreement
    assert (row.entries_observed, row.entries_predicted) == (3, 3)
    missing = next(each for each in lacking.findings if each.id == "service-missing")
    assert missing.title == f"bal01 has no service {OTHER}:80"
    assert missing.severity == "problem"
    assert [(each.succeeded, each.failed, each.peaks) for each in lacking.targets][1] == (0, 2, ())


def test_a_target_that_nobody_answers_for_is_named_though_others_answer(tmp_path: Path) -> None:
    at_ns = BOOT_NS + 1010 * NS
    event = {"at": at_ns, "host": "client", "kind": "neighbour", "detail": f"{OTHER} FAILED"}
    burst = replace(BURST, failed=frozenset({OTHER}), events=[event])
    shown = burst.played(tmp_path / "run")
    found = {each.id: each for each in shown.findings}
    assert found["vip-unanswered"].title == f"Nobody answered ARP for {OTHER}"
    answered = replace(BURST, events=[event]).played(tmp_path / "answered")
    assert "vip-unanswered" not in {each.id for each in answered.findings}


def test_the_real_server_of_a_shared_port_is_told_apart_by_service(analysis: Analysis) -> None:
    names = {curve.real_server for curve in analysis.timeline.predicted}
    assert names == {f"{FIRST}:{PORT}", f"{SECOND}:{PORT}"}
