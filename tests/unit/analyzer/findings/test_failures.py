"""Why requests failed: by kind, and by what could not have answered."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.client.causes import NEIGHBOUR
from analyzer.client.results import Requests
from analyzer.findings import verdict
from analyzer.findings.figures import Figures
from analyzer.recording.directory import Recording, RecordingWriter
from tests.unit.analyzer.builders_packets import (
    BOOT_NS,
    CLIENT,
    CLIENT_MAC,
    NS,
    RST,
    SYN,
    VIP,
    ethernet,
    ipv4,
    mac_bytes,
    pcap,
    request_errors,
    tcp,
)
from tests.unit.analyzer.findings.builders_scene import by_id

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis

MS = 1_000_000
FACTS = {"timeouts": {"tcp": 900, "tcpfin": 120, "udp": 300}, "hz": 100, "timer_phase_s": 0.0}
REFUSED = {"error": "connection refused", "failure": "refused"}
UNREACHABLE = {"error": "no route to host", "failure": "host-unreachable"}
BROADCAST = 0xFFFFFFFFFFFF


def failed_run(
    path: Path,
    errors: Sequence[dict[str, Any]],
    *,
    directors: dict[str, dict[str, Any]] | None = None,
    services: Sequence[dict[str, Any]] = (),
    capture: bytes = b"",
    events: Sequence[str] = (),
    port: int = 81,
    **manifest: Any,
) -> Analysis:
    """A burst of requests that failed so; each director was polled twice and held no entry."""
    names = {"bal01": {}, "bal02": {}} if directors is None else directors
    head = {
        "command": "burst",
        "started_at_ns": BOOT_NS,
        "service": {"protocol": "TCP", "vip": VIP, "port": port},
        "directors": {name: FACTS | facts for name, facts in names.items()},
    }
    writer = RecordingWriter(path, head | manifest)
    if capture:
        writer.capture_path.write_bytes(capture)
    for number, error in enumerate(errors):
        began = BOOT_NS + number * 100 * MS
        row = {"id": number, "scheduled": began, "started": began, "vip": VIP, "port": port}
        writer.append("requests", row | error)
    for name in names:
        for at_s in (0, 1):
            at = {"at": BOOT_NS + at_s * NS, "director": name}
            writer.append("polls", at | {"what": "entries", "took_ms": 1.0, "asked": at["at"]})
            for row in services:
                writer.append("services", at | row)
    for detail in events:
        row = {"at": BOOT_NS + NS, "host": "client", "kind": NEIGHBOUR, "detail": detail}
        writer.append("events", row)
    writer.close("completed")
    return analyse(Recording.open(path))


def syns(n: int, port: int) -> bytes:
    """What a director without the service sees: SYNs, each answered by its own TCP with a reset."""
    frames = []
    for number in range(n):
        at_ns, source = BOOT_NS + number * 100 * MS, 40_000 + number
        syn = tcp(SYN, source_port=source, destination_port=port)
        rst = tcp(RST, source_port=port, destination_port=source)
        frames.append((at_ns, ethernet(ipv4(syn))))
        frames.append((at_ns + MS, ethernet(ipv4(rst, source=VIP, destination=CLIENT))))
    return pcap(frames)


def arp(operation: int, sender: str, target: str, at_s: float = 0.0) -> tuple[int, bytes]:
    """An ARP frame; 1 asks, 2 answers."""
    ends = [IPv4Address(each).packed for each in (sender, target)]
    body = struct.pack(">HHBBH", 1, 0x0800, 6, 4, operation)
    body += mac_bytes(CLIENT_MAC) + ends[0] + mac_bytes(0) + ends[1]
    to = BROADCAST if operation == 1 else CLIENT_MAC
    return BOOT_NS + round(at_s * NS), ethernet(body, destination=to, ethertype=0x0806)


def test_a_service_that_no_director_has_is_the_verdict_and_nothing_is_predicted_of_it(
    tmp_path: Path,
) -> None:
    names: dict[str, dict[str, Any]] = {name: {"has_service": False} for name in ("bal01", "bal02")}
    found = failed_run(tmp_path / "run", [REFUSED] * 6, directors=names, capture=syns(6, 81))
    assert found.verdict == (
        "0 of 6 requests succeeded: bal01 and bal02 have no service 192.168.10.2:81 "
        "(6 refused at connect)."
    )
    finding = by_id(found)["service-missing"]
    assert finding.severity == "problem"
    assert finding.title == "bal01 and bal02 have no service 192.168.10.2:81"
    assert found.lifetimes == ()
    assert found.timeline.predicted == ()
    assert found.agreement == ()
    assert {row.what for row in found.not_measured} >= {
        "ActiveConn, InActConn and predictions for the service on bal01",
        "ActiveConn, InActConn and predictions for the service on bal02",
    }


def test_recordings_that_did_not_note_the_service_tell_by_polls_without_a_row(
    tmp_path: Path,
) -> None:
    found = failed_run(tmp_path / "run", [REFUSED], directors={"lb1": {}}, capture=syns(1, 81))
    assert found.verdict == (
        "0 of 1 requests succeeded: lb1 has no service 192.168.10.2:81 (1 refused at connect)."
    )


ROW = {"protocol": "TCP", "vip": VIP, "port": 81, "forwarding": "dr", "active": 0, "inactive": 0}
SERVER = {"real_server": "192.168.10.21", "real_port": 81, "weight": 1}


@pytest.mark.parametrize(
    ("facts", "services", "more"),
    [
        ({"has_service": True}, [], {}),
        ({"has_service": False}, [ROW | SERVER], {}),  # it was made later
        ({"has_service": False}, [ROW | SERVER | {"port": 0}], {}),
        ({"has_service": False}, [ROW | SERVER | {"vip": None, "port": None, "fwmark": 7}], {}),
        ({}, [ROW | SERVER], {}),
        ({}, [ROW | SERVER | {"port": 80}], {}),  # others were watched: no row tells nothing
        ({}, [], {"command": "collect"}),
    ],
)
def test_a_director_that_has_or_may_have_the_service_is_not_accused(
    tmp_path: Path, facts: dict[str, Any], services: list[dict[str, Any]], more: dict[str, Any]
) -> None:
    found = failed_run(
        tmp_path / "run",
        [REFUSED],
        directors={"bal01": facts},
        services=services,
        capture=syns(1, 81),
        **more,
    )
    assert "service-missing" not in by_id(found)
    assert "no service" not in found.verdict
    assert found.lifetimes != ()


def test_another_service_of_the_same_address_is_not_this_one(tmp_path: Path) -> None:
    found = failed_run(
        tmp_path / "run",
        [REFUSED],
        directors={"bal01": {"has_service": False}},
        services=[ROW | SERVER | {"port": 80}, ROW | SERVER | {"protocol": "UDP"}],
    )
    assert "service-missing" in by_id(found)


def test_one_director_of_two_without_the_service_is_no_cause_but_a_finding(tmp_path: Path) -> None:
    names = {"bal01": {"has_service": True}, "bal02": {"has_service": False}}
    found = failed_run(tmp_path / "run", [REFUSED] * 2, directors=names)
    assert found.verdict == "0 of 2 requests succeeded: 2 refused at connect."
    assert by_id(found)["service-missing"].title == "bal02 has no service 192.168.10.2:81"


def test_requests_that_succeed_without_a_service_were_answered_by_something_else(
    tmp_path: Path,
) -> None:
    well = {"connected": BOOT_NS + MS, "first_byte": BOOT_NS + 2 * MS, "ended": BOOT_NS + 3 * MS}
    found = failed_run(tmp_path / "run", [well], directors={"bal01": {"has_service": False}})
    finding = by_id(found)["service-missing"]
    assert finding.severity == "warning"
    assert "1 requests were answered, but not by IPVS there" in finding.evidence
    assert found.verdict.startswith("1 of 1 requests succeeded")


@pytest.mark.parametrize(
    ("facts", "services"),
    [
        ({"has_service": True, "real_servers": 0}, []),
        ({"has_service": True, "real_servers": 2}, [ROW | SERVER | {"weight": 0}]),
        ({}, [ROW | SERVER | {"weight": 0}]),
    ],
)
def test_a_service_without_a_real_server_to_send_to_is_the_verdict(
    tmp_path: Path, facts: dict[str, Any], services: list[dict[str, Any]]
) -> None:
    found = failed_run(
        tmp_path / "run", [REFUSED] * 3, directors={"bal01": facts}, services=services
    )
    assert found.verdict == (
        "0 of 3 requests succeeded: bal01 has no real server of weight above 0 for "
        "192.168.10.2:81 (3 refused at connect)."
    )
    assert by_id(found)["no-real-server"].severity == "problem"


@pytest.mark.parametrize(
    ("facts", "services"),
    [
        ({"has_service": True, "real_servers": 2}, []),
        ({"has_service": True}, []),
        ({}, [ROW | SERVER, ROW | SERVER | {"weight": 0, "real_server": "192.168.10.22"}]),
    ],
)
def test_a_service_with_a_real_server_is_not_said_to_have_none(
    tmp_path: Path, facts: dict[str, Any], services: list[dict[str, Any]]
) -> None:
    found = failed_run(tmp_path / "run", [REFUSED], directors={"bal01": facts}, services=services)
    assert "no-real-server" not in by_id(found)


def test_an_address_for_which_nobody_answered_arp_is_the_verdict(tmp_path: Path) -> None:
    asked = pcap([arp(1, CLIENT, VIP, at_s) for at_s in (0, 1, 2)])
    found = failed_run(tmp_path / "run", [UNREACHABLE] * 4, directors={}, capture=asked)
    assert found.verdict == (
        "0 of 4 requests succeeded: nobody answered ARP for 192.168.10.2 (4 host unreachable)."
    )
    finding = by_id(found)["vip-unanswered"]
    assert (finding.severity, finding.title) == (
        "problem",
        "Nobody answered ARP for 192.168.10.2",
    )


@pytest.mark.parametrize("state", ["FAILED", "INCOMPLETE"])
def test_without_a_capture_the_neighbour_table_tells(tmp_path: Path, state: str) -> None:
    timed_out = {"error": "timeout: no connection", "failure": "timeout"}
    found = failed_run(tmp_path / "run", [timed_out], directors={}, events=[f"{VIP} {state}"])
    assert found.verdict == (
        "0 of 1 requests succeeded: nobody answered ARP for 192.168.10.2 (1 timed out at connect)."
    )


@pytest.mark.parametrize(
    ("frames", "events"),
    [
        ([], []),
        ([arp(1, CLIENT, VIP), arp(2, VIP, CLIENT)], []),
        ([arp(1, CLIENT, VIP), arp(1, VIP, VIP)], []),  # gratuitous
        ([arp(1, CLIENT, "192.168.10.1")], []),  # a router's, of which nothing follows
        ([], [f"{VIP} REACHABLE"]),
        ([], ["192.168.10.20 FAILED"]),
    ],
)
def test_an_address_that_may_be_there_is_not_said_to_be_nobodys(
    tmp_path: Path, frames: list[tuple[int, bytes]], events: list[str]
) -> None:
    found = failed_run(
        tmp_path / "run", [UNREACHABLE], directors={}, capture=pcap(frames), events=events
    )
    assert "vip-unanswered" not in by_id(found)
    assert found.verdict == "0 of 1 requests succeeded: 1 host unreachable."


def test_a_failed_run_is_not_headed_by_a_prediction(tmp_path: Path) -> None:
    """The SYNs that nobody answered make entries in SYN_RECV, which is not what went wrong."""
    timed_out = {"error": "timeout: no connection", "failure": "timeout"}
    found = failed_run(
        tmp_path / "run",
        [timed_out] * 3,
        directors={"bal01": {"has_service": True}},
        services=[ROW | SERVER],
        capture=syns(3, 81),
    )
    assert found.lifetimes != ()
    assert found.verdict == "0 of 3 requests succeeded: 3 timed out at connect."


def figures(requests: Requests) -> Figures:
    return Figures(
        requests=requests,
        peaks=[],
        lifetimes=[],
        agreement=[],
        events=[],
        forwarding=None,
        capture_dropped=None,
        foreign_entries={},
    )


def requests(succeeded: int, *errors: Any) -> Requests:
    failed = sum(row.n for row in errors)
    return Requests(
        sent=succeeded + failed,
        succeeded=succeeded,
        failed=failed,
        late=0,
        duration_s=1.0,
        rate_per_s=1.0,
        connect_ms=None,
        first_byte_ms=None,
        total_ms=None,
        errors=tuple(errors),
    )


def test_some_failures_stand_in_the_verdict_with_their_reasons() -> None:
    found = verdict(
        figures(
            requests(
                44,
                request_errors("reset", 3, "answer"),
                request_errors("http-5xx", 2, "answer", 503),
                request_errors("timeout", 1),
            )
        )
    )
    assert found.startswith(
        "44 of 50 requests succeeded (3 reset at the answer, 2 HTTP 503, 1 timed out at connect)"
    )


def test_of_many_reasons_the_commonest_are_named() -> None:
    many = [request_errors("http-4xx", 10 - n, "answer", 400 + n) for n in range(6)]
    found = verdict(figures(requests(0, *many)))
    assert found == (
        "0 of 45 requests succeeded: 10 HTTP 400, 9 HTTP 401, 8 HTTP 402, 7 HTTP 403 "
        "and 11 for other reasons."
    )


def test_redirects_that_lead_elsewhere_are_a_finding_where_they_were_to_be_followed(
    tmp_path: Path,
) -> None:
    moved = {"connected": BOOT_NS + MS, "ended": BOOT_NS + 2 * MS, "status": 302}
    plan = {"request": {"redirects": 10}}
    found = failed_run(tmp_path / "one", [moved] * 2, directors={}, plan=plan)
    assert found.requests.succeeded == 2
    finding = by_id(found)["redirects-not-followed"]
    assert finding.title == "2 requests ended in a redirect that was not followed"
    found = failed_run(tmp_path / "two", [moved] * 2, directors={}, plan={"request": {}})
    assert "redirects-not-followed" not in by_id(found)
