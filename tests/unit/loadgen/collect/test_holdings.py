"""A table of entries as groups, and what draining real servers wait for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.drains.drains import TEMPLATE
from analyzer.ipvs.proc.entry_rows import rows_of
from analyzer.ipvs.proc.formats import Destination, Entry, Service, parse_services
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.timers import TimerPhase, expiry_uptime_s
from analyzer.recording.clock import DirectorClock
from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.collect.holdings import Draining, groups, held_by, rows_of_server
from loadgen.director.boot_facts import BootFacts
from loadgen.director.settings import parse_settings

if TYPE_CHECKING:
    from pathlib import Path

NS = 1_000_000_000
BOOT_NS = 1_700_000_000 * NS
CLOCK = DirectorClock(at_ns=np.array([BOOT_NS]), boot_ns=np.array([BOOT_NS]), uncertainty_s=0.0)
FACTS = BootFacts(
    kernel="6.1.0",
    macs=(),
    director_settings=parse_settings(""),
    services=parse_services(""),
    timeouts=Timeouts(tcpfin_s=20),
    timeouts_source="ipvsadm",
    timer_phase=TimerPhase(hz=100, phase_s=0.0, uncertainty_s=0.0),
    timer_phase_source="/proc/schedstat",
)
SERVER = Destination(address="10.0.0.21", port=80, forwarding="dr", weight=0, active=0, inactive=0)
SERVICE = Service(
    protocol="TCP",
    address="10.0.0.2",
    port=80,
    fwmark=None,
    scheduler="rr",
    destinations=(SERVER,),
)
MARKED = Service(
    protocol="FWM", address=None, port=None, fwmark=7, scheduler="rr", destinations=(SERVER,)
)


def entry(
    client_port: int = 40_000,
    state: str = "FIN_WAIT",
    expires_s: int = 15,
    vip: str = "10.0.0.2",
    real_server: str = "10.0.0.21",
) -> Entry:
    return Entry(
        protocol="TCP",
        client_ip="10.0.0.250",
        client_port=client_port,
        vip=vip,
        port=80,
        real_server=real_server,
        real_port=80,
        state=state,
        expires_s=expires_s,
    )


def seen_at(n: int, uptime_s: float) -> np.ndarray:
    return np.full(n, BOOT_NS + round(uptime_s * NS), dtype=np.int64)


ENTRIES = st.builds(
    entry,
    client_port=st.integers(0, 3),
    state=st.sampled_from(["ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "NONE"]),
    expires_s=st.integers(0, 900),
    vip=st.sampled_from(["10.0.0.2", "10.0.0.3", "fd00::2"]),
    real_server=st.sampled_from(["10.0.0.21", "10.0.0.22", "fd00::15"]),
)


@given(st.lists(ENTRIES, max_size=60))
def test_groups_count_each_entry_once(entries: list[Entry]) -> None:
    found = groups(rows_of(entries), seen_at(len(entries), 1000))
    expected: Counter[tuple[str, str, str]] = Counter()
    least: dict[tuple[str, str, str], int] = {}
    for one in entries:
        key = (one.vip, one.real_server, one.state if one.client_port else TEMPLATE)
        expected[key] += 1
        least[key] = min(one.expires_s, least.get(key, one.expires_s))
    counts: Counter[tuple[str, str, str]] = Counter()
    oldest: dict[tuple[str, str, str], int] = {}
    for group in found:
        key = (group.vip, group.real_server, group.state)
        counts[key] += group.n
        left_s = (group.oldest_ends_ns - BOOT_NS) // NS - 1000
        oldest[key] = min(left_s, oldest.get(key, left_s))
    assert counts == expected
    assert oldest == least


def test_a_real_server_has_its_own_services_entries_and_a_mark_has_all() -> None:
    entries = [entry(1), entry(2, vip="10.0.0.3"), entry(3, real_server="10.0.0.22")]
    rows = rows_of(entries)
    found = groups(rows, seen_at(3, 1000))
    assert held_by(found, SERVICE, SERVER).states == {"FIN_WAIT": 1}
    assert held_by(found, MARKED, SERVER).states == {"FIN_WAIT": 2}
    assert list(rows_of_server(rows, SERVICE, SERVER)) == [True, False, False]
    assert list(rows_of_server(rows, MARKED, SERVER)) == [True, True, False]


def test_a_template_is_no_oldest_entry() -> None:
    found = groups(rows_of([entry(0, "ASSURED", 1), entry(1, expires_s=9)]), seen_at(2, 1000))
    held = held_by(found, SERVICE, SERVER)
    assert held.states == {TEMPLATE: 1, "FIN_WAIT": 1}
    assert held.oldest_ends_ns == BOOT_NS + 1009 * NS


def test_the_forecast_holds_the_instant_of_the_wheel(tmp_path: Path) -> None:
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    rows = rows_of([entry(1, expires_s=15), entry(2, expires_s=17)])
    forecast = draining.forecast(rows, seen_at(2, 1000.3), CLOCK)
    assert forecast is not None
    exact_s = float(expiry_uptime_s(997.9, 20, hz=100, phase_s=0.0))  # shows 17 s at 1000.3
    assert forecast.first_ns <= BOOT_NS + round(exact_s * NS) <= forecast.last_ns
    assert forecast.renewed == 0
    assert draining.forecast(rows[:0], seen_at(0, 1000.3), CLOCK) is None


@pytest.mark.parametrize("begun_s", [997.13, 997.49, 997.87, 998.02])
def test_a_later_poll_never_knows_less_of_when_the_last_entry_expires(
    begun_s: float, tmp_path: Path
) -> None:
    """What the polls before left open stays so, wherever a step of the wheel lies in a second."""
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    exact_ns = BOOT_NS + round(float(expiry_uptime_s(begun_s, 20, hz=100, phase_s=0.0)) * NS)
    width_ns = 1 << 62
    for at_s in np.arange(1000.3, begun_s + 20, 1.07):
        rows = rows_of([entry(1, expires_s=int(begun_s + 20 - at_s))])
        draining.note(rows, seen_at(1, float(at_s)))
        forecast = draining.forecast(rows, seen_at(1, float(at_s)), CLOCK)
        assert forecast is not None
        assert forecast.first_ns <= exact_ns <= forecast.last_ns
        assert forecast.last_ns - forecast.first_ns <= width_ns
        width_ns = forecast.last_ns - forecast.first_ns


def test_traffic_that_renews_an_entry_is_seen_and_recorded(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, {})
    draining = Draining("bal01", FACTS, writer)
    for at_s, left_s in [(1000, 899), (1001, 898), (1002, 899), (1003, 898)]:
        rows = rows_of([entry(1, "ESTABLISHED", left_s), entry(2, "ESTABLISHED", 900 - at_s + 999)])
        draining.note(rows, seen_at(2, at_s))
    forecast = draining.forecast(rows, seen_at(2, 1003), CLOCK)
    assert forecast is not None
    assert forecast.renewed == 1
    writer.close("completed")
    (row,) = Recording.open(tmp_path).table("entries").to_dict("records")
    assert (row["change"], row["state"], row["client_port"]) == ("state", "ESTABLISHED", 1)
    assert row["expires_s"] == 899
    assert row["director"] == "bal01"


def test_an_entry_that_has_expired_renews_nothing(tmp_path: Path) -> None:
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    for at_s, left_s in [(1000, 800), (1001, 899)]:
        draining.note(rows_of([entry(1, "ESTABLISHED", left_s)]), seen_at(1, at_s))
    draining.note(rows_of([]), seen_at(0, 1002))
    rows = rows_of([entry(1, "ESTABLISHED", 899)])
    draining.note(rows, seen_at(1, 1003))
    forecast = draining.forecast(rows, seen_at(1, 1003), CLOCK)
    assert forecast is not None
    assert forecast.renewed == 0


@pytest.mark.parametrize("n", [0, 1])
def test_few_entries_are_groups_too(n: int) -> None:
    assert len(groups(rows_of([entry()] * n), seen_at(n, 1))) == n


def test_a_template_that_a_new_connection_renews_is_a_client_that_came_back(tmp_path: Path) -> None:
    """Renewed while its timer ran: 30 s of persistence, a connection every 10 s."""
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    rows = rows_of([entry(0, "ASSURED", 29)])
    for at_s, left_s in ((1000, 29), (1005, 24), (1010, 29), (1015, 24)):
        rows = rows_of([entry(0, "ASSURED", left_s), entry(at_s // 10, "FIN_WAIT", 9)])
        draining.note(rows, seen_at(2, at_s))
    forecast = draining.forecast(rows, seen_at(2, 1015), CLOCK)
    assert forecast is not None
    assert (forecast.renewed, forecast.clients) == (1, 1)
    assert forecast.last_renewal_ns == BOOT_NS + 1010 * NS


def test_a_template_that_was_put_off_is_no_client_that_came_back(tmp_path: Path) -> None:
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    rows = rows_of([])
    for at_s, left_s in ((1000, 3), (1005, 58), (1010, 53), (1064, 59)):
        rows = rows_of([entry(0, "ASSURED", left_s), entry(1, "ESTABLISHED", 1900 - at_s)])
        draining.note(rows, seen_at(2, at_s))
    forecast = draining.forecast(rows, seen_at(2, 1064), CLOCK)
    assert forecast is not None
    assert (forecast.renewed, forecast.clients, forecast.last_renewal_ns) == (0, 0, None)


def test_a_new_connection_after_a_template_was_put_off_is_a_client(tmp_path: Path) -> None:
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    old, new = entry(1, "ESTABLISHED", 800), entry(2, "ESTABLISHED", 899)
    draining.note(rows_of([entry(0, "ASSURED", 3), old]), seen_at(2, 1000))
    rows = rows_of([entry(0, "ASSURED", 58), old, new])
    draining.note(rows, seen_at(3, 1005))
    forecast = draining.forecast(rows, seen_at(3, 1005), CLOCK)
    assert forecast is not None
    assert forecast.clients == 1


def test_an_entry_that_is_late_shows_0_and_was_not_renewed(tmp_path: Path) -> None:
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path, {}))
    rows = rows_of([])
    for at_s, left_s in ((1000, 1), (1005, 0), (1010, 0), (1020, 0)):
        rows = rows_of([entry(1, "ESTABLISHED", left_s)])
        draining.note(rows, seen_at(1, at_s))
    forecast = draining.forecast(rows, seen_at(1, 1020), CLOCK)
    assert forecast is not None
    assert forecast.renewed == 0


@given(
    packet_s=st.floats(900, 1000),
    polls_s=st.lists(st.floats(1000, 1019), min_size=2, max_size=12, unique=True),
)
def test_an_instant_once_known_is_never_known_less_closely(
    tmp_path_factory: pytest.TempPathFactory, packet_s: float, polls_s: list[float]
) -> None:
    """Whether a step of the wheel lies within the printed second differs from poll to poll."""
    draining = Draining("bal01", FACTS, RecordingWriter(tmp_path_factory.mktemp("run"), {}))
    timeout_s, widest_ns = 120.0, None
    exact_s = float(expiry_uptime_s(packet_s, timeout_s, hz=100, phase_s=0.0))
    for at_s in sorted(polls_s):
        left_s = int(packet_s + timeout_s - at_s)
        rows = rows_of([entry(1, "TIME_WAIT", left_s)])
        draining.note(rows, seen_at(1, at_s))
        forecast = draining.forecast(rows, seen_at(1, at_s), CLOCK)
        assert forecast is not None
        exact_ns = BOOT_NS + round(exact_s * NS)
        assert forecast.first_ns - NS // 1000 <= exact_ns <= forecast.last_ns + NS // 1000
        width_ns = forecast.last_ns - forecast.first_ns
        assert width_ns > 0
        assert widest_ns is None or width_ns <= widest_ns + NS // 1000
        widest_ns = width_ns


def test_a_port_of_0_is_any_port_and_another_protocol_another_service() -> None:
    any_port = Service(
        protocol="TCP", address="10.0.0.2", port=0, fwmark=None, scheduler="rr", destinations=()
    )
    by_any = Destination(
        address="10.0.0.21", port=0, forwarding="dr", weight=0, active=0, inactive=0
    )
    rows = rows_of([entry(1), replace(entry(2, "UDP"), protocol="UDP")])
    found = groups(rows, seen_at(2, 1000))
    assert held_by(found, any_port, by_any).states == {"FIN_WAIT": 1}
    assert held_by(found, SERVICE, SERVER).states == {"FIN_WAIT": 1}
    assert list(rows_of_server(rows, any_port, by_any)) == [True, False]
