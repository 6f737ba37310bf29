"""What comes first at a higher rate: source ports, or the table's memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP
from tests.unit.analyzer.builders_run import FIRST, closed
from tests.unit.analyzer.findings.builders_scene import Scene, by_id

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from analyzer.results import Finding

PORTS = 60999 - 32768 + 1  # net.ipv4.ip_local_port_range, as Linux has it
LIFE_S = 20.64  # tcpfin 20 and a granule at HZ 100


@dataclass(frozen=True, kw_only=True)
class Loaded(Scene):
    """A stage that also sent requests at a rate, and has counters as large as one likes."""

    requests: int = 0
    rate_per_s: float = 100.0
    sources: int = 1
    peak: int | None = None  # so many InActConn, at every poll from 1001 on
    before: int = 0  # and so many ActiveConn until then
    buckets: int | None = None  # as an early poll showed

    def request(self, number: int) -> dict[str, Any]:
        at_ns = BOOT_NS + round((1000 + number / self.rate_per_s) * NS)
        return {
            "id": number,
            "kind": "GET",
            "protocol": "TCP",
            "vip": VIP,
            "port": PORT,
            "scheduled": at_ns,
            "started": at_ns,
            "connected": at_ns + 1_000_000,
            "first_byte": at_ns + 2_000_000,
            "ended": at_ns + 3_000_000,
            "source_ip": f"{CLIENT[:-1]}{number % self.sources}",
            "source_port": 32768 + number // self.sources % PORTS,
            "status": 200,
            "closer": "client",
        }

    def poll(self, writer: RecordingWriter, at_s: float) -> None:
        if at_s < 999.1:
            writer.extend("requests", [self.request(number) for number in range(self.requests)])
            at = BOOT_NS + round(999.01 * NS)
            row = {"at": at, "director": "bal01", "what": "services", "took_ms": 0.0, "asked": at}
            writer.append("polls", row | {"director_uptime_s": 999.01, "buckets": self.buckets})
        super().poll(writer, at_s)

    def counters(self, server: str, at_s: float) -> dict[str, Any]:
        row = super().counters(server, at_s)
        if self.peak is None or server != FIRST:
            return row
        if at_s < 1001:
            return row | {"active": self.before, "inactive": 0}
        return row | {"active": 0, "inactive": self.peak}


def found(path: Path, name: str, **stage: Any) -> Finding | None:
    lives = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(5)]
    return by_id(Loaded(lives=lives, until_s=1025.0, poll_s=0.5, **stage).played(path)).get(name)


# port-budget --------------------------------------------------------------------------------------


@pytest.mark.parametrize("sources", [1, 3])
def test_a_small_run_reports_what_it_could_send(tmp_path: Path, sources: int) -> None:
    one = found(tmp_path, "port-budget", requests=90, sources=sources)
    assert one is not None
    assert one.severity == "info"
    limit_per_s = sources * PORTS / LIFE_S
    assert f" {limit_per_s:,.0f} requests/s " in one.title
    assert f"{sources} source address(es) with 28,232 ports" in one.evidence
    assert "lifetimes of up to 20.6 s" in one.evidence
    assert f"allows {sources * PORTS / 60:,.0f}/s, sustained" in one.evidence
    sent = re.search(r"this run sent 90 requests in ([\d.]+) s", one.evidence)
    assert sent is not None
    assert float(sent[1]) == pytest.approx(0.9, abs=0.02)
    assert "or a lower tcpfin" in one.advice


def test_an_engine_with_ports_of_its_own_has_more_and_keeps_none(tmp_path: Path) -> None:
    one = found(tmp_path, "port-budget", requests=90, plan={"engine": "packets"})
    assert one is not None
    assert f" {64512 / LIFE_S:,.0f} requests/s " in one.title
    assert "with 64,512 ports" in one.evidence
    assert "TIME_WAIT" in one.evidence
    assert "sustained" not in one.evidence


@pytest.mark.parametrize(
    ("requests", "rate_per_s", "sources", "severity"),
    [
        (PORTS + 1, 2000.0, 1, "warning"),  # each port was used, at more than 1,368/s
        (PORTS, 2000.0, 1, "info"),  # none came back yet
        (PORTS + 1, 2000.0, 2, "info"),  # two addresses have twice the ports
        (PORTS + 1, 300.0, 1, "info"),  # slowly: a port comes back when its entry has expired
    ],
)
def test_it_is_a_warning_only_where_ports_did_come_back_too_soon(
    tmp_path: Path, requests: int, rate_per_s: float, sources: int, severity: str
) -> None:
    one = found(tmp_path, "port-budget", requests=requests, rate_per_s=rate_per_s, sources=sources)
    assert one is not None
    assert one.severity == severity


def test_without_requests_or_entries_there_is_no_budget(tmp_path: Path) -> None:
    assert found(tmp_path / "a", "port-budget") is None
    empty = Loaded(lives=(), requests=90, until_s=1005.0).played(tmp_path / "b")
    assert "port-budget" not in by_id(empty)


def test_a_timeout_that_nobody_read_gives_no_budget(tmp_path: Path) -> None:
    lives = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(5)]
    unseen = [replace(life, held=replace(life.held, waits_s=None)) for life in lives]
    stage = Loaded(lives=unseen, until_s=1025.0, poll_s=0.5, requests=90, facts={"timeouts": None})
    assert "port-budget" not in by_id(stage.played(tmp_path))


def test_a_timeout_that_entries_show_gives_one(tmp_path: Path) -> None:
    facts: dict[str, Any] = {"timeouts": None}
    assert found(tmp_path, "port-budget", requests=90, facts=facts) is not None


# table-memory -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "size", "severity", "words"),
    [
        (40_000, None, "warning", ["13 MB", "chains of 10", "4,096 buckets (the default)"]),
        (12_000, None, "info", ["4 MB", "chains of 3"]),  # many, but short chains
        (40_000, 65_536, "info", ["chains of 1", "65,536 buckets (as the director reports)"]),
        (3_000, 256, "warning", ["1 MB", "chains of 12", "256 buckets"]),  # few, but long ones
    ],
)
def test_what_the_table_costs_at_its_peak(
    tmp_path: Path, peak: int, size: int | None, severity: str, words: list[str]
) -> None:
    one = found(tmp_path, "table-memory", peak=peak, facts={"conn_tab_size": size})
    assert one is not None
    assert one.severity == severity
    assert one.title.startswith(f"{peak:,} entries: ")
    text = f"{one.title} {one.evidence}"
    for word in words:
        assert word in text
    bits = re.search(r"conn_tab_bits=(\d+)", one.advice)
    assert bits is not None
    assert 2 ** (int(bits[1]) - 1) < peak <= 2 ** int(bits[1])


@pytest.mark.parametrize(("peak", "size"), [(9_000, None), (9_000, 4096), (1_000, 256)])
def test_a_small_table_costs_nothing_worth_telling(
    tmp_path: Path, peak: int, size: int | None
) -> None:
    assert found(tmp_path, "table-memory", peak=peak, facts={"conn_tab_size": size}) is None


def test_peaks_of_different_instants_do_not_add_up(tmp_path: Path) -> None:
    """A burst: 9,000 active ones, and a second later the same 9,000 inactive."""
    assert found(tmp_path, "table-memory", peak=9_000, before=9_000) is None


def test_the_bytes_of_an_entry_are_the_directors_own(tmp_path: Path) -> None:
    own = found(tmp_path, "table-memory", peak=40_000, facts={"entry_bytes": 280})
    assert own is not None
    assert "11 MB" in own.title
    assert "280 bytes per entry, by its boot message" in own.evidence
    other = found(tmp_path / "other", "table-memory", peak=40_000, facts={"entry_bytes": None})
    assert other is not None
    assert "320 bytes per entry, 4,096 buckets" in other.evidence


def test_a_table_that_grows_by_itself_needs_no_advice_on_its_size(tmp_path: Path) -> None:
    facts = {"conn_tab_size": 256, "kernel": "7.2.7"}
    assert found(tmp_path, "table-memory", peak=40_000, facts=facts) is None


@pytest.mark.parametrize(
    ("peak", "buckets", "warned"),
    [
        (40_000, 4096, True),  # conn_tab_bits is 12: it grew no further
        (40_000, 131_072, False),
        (20_000, 4096, False),  # chains of five
        (3_000, 256, False),  # between two polls: a table that is kept so small is none of 7.x
    ],
)
def test_a_table_that_may_grow_no_more_has_long_chains(
    tmp_path: Path, peak: int, buckets: int, warned: bool
) -> None:
    facts = {"conn_tab_size": 256, "kernel": "7.2.7", "entry_bytes": 288}
    one = found(tmp_path, "table-memory", peak=peak, facts=facts, buckets=buckets)
    assert (one is not None) == warned
    if one is not None:
        assert one.severity == "warning"
        assert "chains of 10" in one.title
        assert "4,096 buckets (it grew no further)" in one.evidence
        assert "conn_tab_bits=16" in one.advice


# table-full ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "most", "is_full"),
    [
        ("7.2.7", "20", True),
        ("7.2.7", "20000", False),
        ("7.2.7", None, False),
        ("6.1.176", "20", False),  # has no such sysctl: whoever says so is not believed
    ],
)
def test_a_table_at_its_limit_is_a_problem(
    tmp_path: Path, kernel: str, most: str | None, is_full: bool
) -> None:
    facts = {"kernel": kernel, "sysctl": {"conn_max": most} if most else {}}
    one = found(tmp_path, "table-full", peak=20, facts=facts)
    assert (one is not None) == is_full
    if one is not None:
        assert one.severity == "problem"
        assert one.title == "The table is full: 20 of at most 20 entries"
        assert "net.ipv4.vs.conn_max" in one.advice
