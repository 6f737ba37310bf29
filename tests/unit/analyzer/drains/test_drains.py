"""Real servers of weight 0 in a recording: what they hold, until when, and what is not claimed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.ipvs.timers import granule_s
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.report import Analysis, to_json
from tests.unit.analyzer import builders_packets as build

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.results import Drain


NS = build.NS
ZERO_NS = build.BOOT_NS + 1000 * NS
SERVER = "192.168.10.21"
FACTS = {
    "hz": 100,
    "timer_phase_s": 0.0,
    "timer_phase_uncertainty_s": 0.0,
    "timeouts": {"tcp": 900, "tcpfin": 20, "udp": 300},
}
Change = tuple[float, str, str, int, int]


def at(seconds: float) -> int:
    return ZERO_NS + round(seconds * NS)


def watched(
    path: Path,
    changes: list[Change],
    *,
    seconds: float,
    zero_from_s: float = 5,
    entries: bool = True,
) -> Analysis:
    """A watch polled four times a second: (at, change, state, expires, client port)."""
    writer = RecordingWriter(
        path, {"started_at_ns": ZERO_NS, "directors": {"bal01": FACTS}, "ended": None}
    )
    for poll in range(round(seconds * 4) + 1):
        at_s = poll / 4
        writer.append(
            "polls",
            {
                "at": at(at_s),
                "director": "bal01",
                "what": "entries" if entries else "services",
                "took_ms": 0.0,
                "asked": at(at_s),
                "director_uptime_s": 1000 + at_s,
            },
        )
        for server, weight in ((SERVER, 0 if at_s >= zero_from_s else 1), ("192.168.10.22", 1)):
            row: dict[str, Any] = {"protocol": "TCP", "vip": build.VIP, "port": 80}
            row |= {"real_server": server, "real_port": 80, "forwarding": "dr", "scheduler": "rr"}
            row |= {"weight": weight, "active": 0, "inactive": 3}
            writer.append("services", {"at": at(at_s), "director": "bal01"} | row)
    for at_s, change, state, expires_s, port in changes:
        writer.append(
            "entries",
            {
                "at": at(at_s),
                "director": "bal01",
                "change": change,
                "protocol": "TCP",
                "state": state,
                "expires_s": expires_s,
                "client_ip": build.CLIENT,
                "client_port": port,
                "vip": build.VIP,
                "port": 80,
                "real_server": SERVER,
                "real_port": 80,
            },
        )
    writer.close("completed")
    return analyse(Recording.open(path))


def drain(path: Path, changes: list[Change], **more: Any) -> Drain:
    (found,) = watched(path, changes, **more).drains
    return found


def seconds_of(instant: str | None) -> float:

    assert instant is not None
    at_ms = np.datetime64(instant.removesuffix("Z"), "ms")
    return float(at_ms.astype("int64") - ZERO_NS // 1_000_000) / 1e3


def test_the_last_entry_expires_a_timeout_after_its_last_packet(tmp_path: Path) -> None:
    found = drain(tmp_path, [(6.0, "appeared", "FIN_WAIT", 19, 1)], seconds=10)
    assert (found.director, found.real_server) == ("bal01", f"{SERVER}:80")
    assert found.service == f"TCP {build.VIP}:80"
    assert seconds_of(found.weight_zero_since) == 5
    assert found.entries == 1
    assert found.uncertainty_s is not None
    assert found.uncertainty_s <= granule_s(20, 100)
    # the packet came between the polls of 5.75 and 6.0 s
    assert 25.75 - 0.01 <= seconds_of(found.gone_by) <= 26 + granule_s(20, 100)
    (state,) = found.states
    assert (state.state, state.n, state.renewed) == ("FIN_WAIT", 1, 0)
    assert found.why is None


def test_the_last_state_to_end_decides(tmp_path: Path) -> None:
    changes = [(1.0, "appeared", "TIME_WAIT", 119, 1), (6.0, "appeared", "FIN_WAIT", 19, 2)]
    found = drain(tmp_path, changes, seconds=10)
    assert {state.state for state in found.states} == {"TIME_WAIT", "FIN_WAIT"}
    assert seconds_of(found.gone_by) == pytest.approx(121 + 2.5, abs=3)


def test_while_traffic_renews_an_entry_no_instant_is_promised(tmp_path: Path) -> None:
    changes = [(1.0, "appeared", "ESTABLISHED", 899, 1), (7.0, "state", "ESTABLISHED", 899, 1)]
    found = drain(tmp_path, changes, seconds=10)
    assert found.gone_by is None
    assert found.uncertainty_s is None
    assert seconds_of(found.not_before) >= 7 + 899
    assert found.why == "traffic still renews entries"
    assert found.states[0].renewed == 1


def test_an_open_connection_without_traffic_has_an_instant(tmp_path: Path) -> None:
    found = drain(tmp_path, [(1.0, "appeared", "ESTABLISHED", 899, 1)], seconds=10)
    assert found.not_before is None
    assert seconds_of(found.gone_by) >= 900


def test_what_expired_is_reported_beside_what_was_predicted(tmp_path: Path) -> None:
    changes = [(6.0, "appeared", "FIN_WAIT", 19, 1), (26.5, "gone", "FIN_WAIT", 0, 1)]
    found = drain(tmp_path, changes, seconds=30)
    assert (found.entries, found.states) == (0, ())
    assert seconds_of(found.gone) == 26.5
    assert abs(seconds_of(found.gone_by) - 26.5) <= granule_s(20, 100) + 0.25


def test_a_template_is_waited_for(tmp_path: Path) -> None:
    changes = [(1.0, "appeared", "FIN_WAIT", 19, 1), (1.0, "appeared", "ASSURED", 49, 0)]
    found = drain(tmp_path, changes, seconds=10)
    assert {state.state: state.n for state in found.states} == {"FIN_WAIT": 1, "TEMPLATE": 1}
    assert seconds_of(found.gone_by) == pytest.approx(51, abs=3)


def test_entries_that_were_not_read_are_not_guessed_at(tmp_path: Path) -> None:
    found = drain(tmp_path, [], seconds=10, entries=False)
    assert (found.entries, found.gone_by) == (3, None)
    assert found.why == "its entries were not read"


def test_a_server_that_held_nothing_has_nothing_to_wait_for(tmp_path: Path) -> None:
    found = drain(tmp_path, [], seconds=10)
    assert (found.entries, found.gone_by, found.gone) == (0, None, None)


def test_a_weight_that_came_back_is_no_drain(tmp_path: Path) -> None:
    assert watched(tmp_path, [], seconds=4, zero_from_s=99).drains == ()


def test_the_finding_says_it_in_words(tmp_path: Path) -> None:
    analysis = watched(tmp_path, [(6.0, "appeared", "FIN_WAIT", 19, 1)], seconds=10)
    (finding,) = [one for one in analysis.findings if one.id == "draining"]
    assert "1 entry (1 FIN_WAIT), gone by " in finding.evidence
    assert to_json(analysis)["drains"][0]["real_server"] == f"{SERVER}:80"
