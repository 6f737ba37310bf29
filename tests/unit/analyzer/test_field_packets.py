"""Captures as operators bring them, alone: the answer, or that it cannot be inferred."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder
from tests.unit.analyzer.builders_capture import DATAGRAM, Net, Step, capture, finding, imported

if TYPE_CHECKING:
    from analyzer.report import Analysis

FIELD = Path(__file__).resolve().parents[2] / "data" / "field" / "packets"


def answer(name: str) -> Analysis:
    with TemporaryDirectory() as directory:
        shutil.copy(FIELD / name, directory)
        import_folder([Path(directory) / name], Path(directory) / "run")
        return analyse(Recording.open(Path(directory) / "run"))


def test_a_cooked_capture_on_a_nat_director_is_nat() -> None:
    found = answer("sll-nat.pcap")
    assert found.verdict.startswith("tcpfin does not matter here: TIME_WAIT governs the decay")
    assert [(row.state, row.timeout_s, row.n) for row in found.lifetimes] == [
        ("TIME_WAIT", 120.0, 10)
    ]
    assert found.forwarding is not None
    assert (found.forwarding.method, found.forwarding.basis) == ("nat", "packets")
    assert found.forwarding.why.startswith("packets of 10 of 10 connections are sent on to")


def test_a_clients_capture_does_not_tell_dr_from_nat_and_says_so() -> None:
    found = answer("client-samemac.pcap")
    forwarding = found.forwarding
    assert forwarding is not None
    assert forwarding.otherwise is not None
    assert (forwarding.method, forwarding.basis) == ("dr", "assumed")
    assert (forwarding.otherwise.method, forwarding.otherwise.state) == ("nat", "TIME_WAIT")
    assert "TIME_WAIT" in found.verdict
    assert finding(found, "forwarding-assumed") is not None
    (gap,) = [gap for gap in found.not_measured if gap.what.startswith("forwarding")]
    assert "ipvsadm -Ln" in gap.why


def test_connects_that_a_real_server_resets_are_refused_by_it() -> None:
    found = answer("nat-refused.pcap")
    refused = "20 of 20 connections were refused by the real server 10.9.0.21:8080"
    assert found.verdict.startswith(refused)
    one = finding(found, "refused")
    assert one is not None
    assert "20 by the real server 10.9.0.21:8080, instead of an answer to the SYN" in one.evidence
    assert all("no sign of a fault" not in each.advice for each in found.findings)


def test_an_idle_connection_that_nobody_answers_any_more_is_named() -> None:
    found = answer("s2-idle-noanswer.pcap")
    one = finding(found, "packet-after-expiry")
    assert one is not None
    assert one.evidence.startswith(
        "198.51.100.9:40001 to 192.0.2.80:80 (2047.0 s): a packet came 1536.0 s after the one "
        "before it, 526.8 to 636.0 s too late: its entry in ESTABLISHED waits 900 s"
    )
    assert "7 in all: no answer" in one.evidence
    assert "A pause of 256.0 s was still answered" in one.evidence
    assert "tcp 900 s" in one.evidence


def test_a_real_servers_packet_after_close_wait_is_named_though_the_timer_is_at_the_edge() -> None:
    found = answer("s1-halfclose-director.pcap")
    one = finding(found, "packet-after-expiry")
    assert one is not None
    assert "198.51.100.9:40000 to 192.0.2.80:80" in one.evidence
    assert "its real server's packet came 65.0 s after the one before it" in one.evidence
    assert "CLOSE_WAIT waits 60 s and the kernel's timer up to 5.1 s more" in one.evidence
    assert "and it was gone: answered with a RST to the real server" in one.evidence
    assert "TCP keepalives sent more often than every 60 s" in one.advice


META = ("meta.json", '{"vip": "192.0.2.80", "port": 53, "protocol": "UDP"}')


@pytest.mark.parametrize("more", [(), (META,)], ids=["alone", "with meta.json"])
def test_datagrams_alone_are_those_of_the_end_with_the_most_conversations(
    tmp_path: Path, more: tuple[tuple[str, str], ...]
) -> None:
    net = Net(vport=53)
    late: tuple[Step, ...] = ((0.0, ">", DATAGRAM), (0.001, "<", DATAGRAM), (340.0, ">", DATAGRAM))
    hops = [hop for number in range(3) for hop in net.connection(42000 + number, number, late)]
    found = imported(tmp_path / "source", capture(hops, "client", "ethernet", net), *more)
    one = finding(found, "packet-after-expiry")
    assert one is not None
    assert "a packet came 340.0 s after the one before it" in one.evidence
    assert not [gap for gap in found.not_measured if gap.what.startswith("packets of")]
