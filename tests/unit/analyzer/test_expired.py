"""A packet that comes after its entry's end: which, how late, what answered, and what to set."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import MANIFEST, Recording
from tests.unit.analyzer.builders_capture import (
    ACK,
    CLOSED,
    DATAGRAM,
    DIRECTOR_MAC,
    FIN,
    PSH,
    RST,
    Hop,
    Net,
    capture,
    finding,
    imported,
)
from tests.unit.analyzer.builders_run import Held, Life, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis
    from analyzer.results import Finding
    from tests.unit.analyzer.builders_capture import Link, Place, Step, Way

OPEN = CLOSED[:5]
HALF_CLOSED: tuple[Step, ...] = (*OPEN, (0.005, ">", FIN | ACK), (0.006, "<", ACK))
TIMEOUTS = {"tcp": 900, "tcpfin": 120, "udp": 300}
NAME = "198.51.100.9:40000 to 192.0.2.80:80"


def alone(net: Net, at_s: float, way: str, flags: int, sequence: int = 5) -> Hop:
    """A packet that ends at the director, or begins there."""
    return net.alone(Hop(at_s, flags, sequence, ("", 0), ("", 0), 0, 0), way, 40000, 0)


def analysed(
    path: Path,
    net: Net,
    sent: Sequence[Hop],
    place: Place = "client",
    link: Link = "ethernet",
    **meta: object,
) -> Analysis:
    document = {"vip": net.vip, "port": net.vport, "timeouts": TIMEOUTS} | meta
    return imported(path, capture(sent, place, link, net), ("meta.json", json.dumps(document)))


def late(found: Analysis) -> Finding:
    one = finding(found, "packet-after-expiry")
    assert one is not None
    return one


def too_late_s(one: Finding) -> tuple[float, float]:
    """What the evidence says, in seconds: at least, at most."""
    match = re.search(r"([\d.]+) to ([\d.]+) s too late", one.evidence)
    assert match is not None
    return float(match[1]), float(match[2])


IDLE = [
    ("dr", "client", "ethernet"),
    ("dr", "director", "ethernet"),
    ("dr", "director", "sll"),
    ("nat", "director", "ethernet"),
    ("nat", "director", "sll2"),
    ("nat", "director", "raw"),
    ("nat", "client", "ethernet"),
    ("nat", "client", "sll"),
]


@pytest.mark.parametrize(("way", "place", "link"), IDLE)
def test_a_connection_idle_beyond_the_tcp_timeout_is_reset_by_the_director(
    tmp_path: Path, way: Way, place: Place, link: Link
) -> None:
    net = Net(way=way)
    sent = [
        *net.connection(40000, 0, OPEN),
        alone(net, 1200.0, ">", PSH | ACK),
        alone(net, 1200.001, "<", RST),
        *net.connection(50000, 1, CLOSED),
    ]
    found = analysed(tmp_path, net, sent, place, link)
    one = late(found)
    assert one.severity == "problem"
    assert one.title == "1 connection continued after the entry had expired"
    assert f"{NAME} (1200.0 s): a packet came 1200.0 s after the one before it" in one.evidence
    assert "its entry in ESTABLISHED waits 900 s" in one.evidence
    assert "answered with a RST from the VIP" in one.evidence
    least, most = too_late_s(one)  # by the coarsest granule of a known HZ: 109 s at 300
    assert 300 - 110 < least < 300 - 109
    assert most == pytest.approx(300, abs=0.1)
    assert "`ipvsadm --set 1260 0 0`" in one.advice
    assert "every 900 s" in one.advice
    assert "tcp_keepalive_time, 7200 s" in one.advice
    assert "1 connection continued after the entry had expired: reset" in found.verdict
    assert finding(found, "reset-by-server") is None  # it is the same reset
    (trace,) = [trace for trace in found.traces if "after-expiry" in trace.reasons]
    assert trace.client == "198.51.100.9:40000"


def test_silence_is_reported_and_is_less_sure_where_nobody_read_the_timeout(tmp_path: Path) -> None:
    net = Net(way="nat")
    retries = [alone(net, 1200 + at_s, ">", PSH | ACK) for at_s in (0, 0.2, 0.6, 1.4)]
    sent = [*net.connection(40000, 0, OPEN), *retries]
    one = late(analysed(tmp_path / "a", net, sent))
    assert one.severity == "problem"
    assert "4 in all: no answer" in one.evidence
    assert "firewall" in one.advice
    one = late(analysed(tmp_path / "b", net, sent, timeouts=None))
    assert one.severity == "warning"
    assert one.title.endswith("must have expired, by the kernel's default timeouts")
    assert "assumed: tcp 900 s, the kernel's default" in one.evidence


def test_the_longest_pause_that_was_answered_bounds_the_timeout(tmp_path: Path) -> None:
    net = Net(way="nat")
    spoken = ((0.0, ">", PSH | ACK), (0.001, "<", PSH | ACK))
    sent = [
        *net.connection(40000, 0, OPEN),
        *net.connection(40000, 600, spoken),  # type: ignore[arg-type]
        alone(net, 2000, ">", PSH | ACK),
        alone(net, 2000.001, "<", RST),
    ]
    one = late(analysed(tmp_path, net, sent))
    assert "A pause of 600.0 s was still answered" in one.evidence


def test_an_answer_all_the_same_doubts_the_timeout_and_not_the_connection(tmp_path: Path) -> None:
    net = Net(way="nat")
    spoken = ((0.0, ">", PSH | ACK), (0.001, "<", PSH | ACK))
    sent = [*net.connection(40000, 0, OPEN), *net.connection(40000, 1200, spoken)]  # type: ignore[arg-type]
    for place, answer in (
        ("client", "answered nevertheless"),
        ("director", "forwarded nevertheless"),
    ):
        found = analysed(tmp_path / place, net, sent, place)  # type: ignore[arg-type]
        one = late(found)
        assert one.severity == "info"
        assert answer in one.evidence
        assert "longer than the one assumed here" in one.advice
        assert "continued after" not in found.verdict


def test_a_real_servers_own_reset_says_that_it_got_the_packet(tmp_path: Path) -> None:
    net = Net()
    reset = ((0.0, ">", PSH | ACK), (0.001, "<", RST))
    sent = [*net.connection(40000, 0, OPEN), *net.connection(40000, 1200, reset)]  # type: ignore[arg-type]
    one = late(analysed(tmp_path, net, sent))
    assert one.severity == "info"
    assert "reset by the real server, which received it nevertheless" in one.evidence


def test_in_dr_a_half_closed_connection_is_forgotten_after_tcpfin(tmp_path: Path) -> None:
    net = Net()
    sent = [
        *net.connection(40000, 0, HALF_CLOSED),
        alone(net, 150.0, ">", ACK),
        alone(net, 150.001, "<", RST),
    ]
    one = late(analysed(tmp_path, net, sent))
    assert "its entry in FIN_WAIT waits 120 s" in one.evidence
    assert "`ipvsadm --set 0 240 0`" in one.advice


@pytest.mark.parametrize("link", ["ethernet", "sll", "raw"])
@pytest.mark.parametrize(
    ("pause_s", "answered", "words", "severity"),
    [
        (70.0, True, "answered with a RST to the real server", "problem"),
        (70.0, False, "no answer", "problem"),
        (
            63.0,
            True,
            "within a timer granule of its expiry: its entry in CLOSE_WAIT waits 60 s",
            "problem",
        ),
        (63.0, False, "within a timer granule of its expiry", "warning"),
    ],
)
def test_in_nat_a_half_closed_connection_is_forgotten_after_60_s(
    tmp_path: Path, link: Link, pause_s: float, answered: bool, words: str, severity: str
) -> None:
    """The real server goes on sending; nothing of it is translated any more."""
    net = Net(way="nat")
    data = net.back(Hop(pause_s, PSH | ACK, 9, ("", 0), ("", 0), 0, 0), 40000, 0)[0]
    rst = net.forth(Hop(pause_s, RST, 9, ("", 0), ("", 0), 0, 0), 40000, 0)[1]
    sent = [*net.connection(40000, 0, HALF_CLOSED), data, *net.connection(50000, 100, CLOSED)]
    found = analysed(tmp_path, net, [*sent, rst] if answered else sent, "director", link)
    one = late(found)
    assert one.severity == severity
    assert "its real server's packet came" in one.evidence
    assert words in one.evidence
    assert "no ipvsadm --set number changes this timeout" in one.advice


def test_a_real_servers_packet_that_leaves_untranslated_is_reported(tmp_path: Path) -> None:
    net = Net(way="nat")
    arrives, leaves = net.back(Hop(70, PSH | ACK, 9, ("", 0), ("", 0), 0, 0), 40000, 0)
    leaves = Hop(leaves.at_s, leaves.flags, 9, arrives.source, arrives.target, leaves.by, leaves.to)
    sent = [*net.connection(40000, 0, HALF_CLOSED), arrives, leaves]
    one = late(analysed(tmp_path, net, sent, "director"))
    assert "forwarded with the real server's own address" in one.evidence


@pytest.mark.parametrize(
    ("number", "words", "severity"),
    [(0, "for the same real server", "info"), (1, "for another real server", "warning")],
)
def test_a_datagram_after_the_udp_timeout_makes_a_new_entry(
    tmp_path: Path, number: int, words: str, severity: str
) -> None:
    net = Net(way="nat", vport=53)
    asks: tuple[Step, ...] = ((0.0, ">", DATAGRAM), (0.01, "<", DATAGRAM))
    again = Net(way="nat", vport=53, servers=net.servers if not number else net.servers[::-1])
    sent = [*net.connection(40000, 0, asks), *again.connection(40000, 700, asks)]
    one = late(analysed(tmp_path, net, sent, "director", protocol="UDP"))
    assert one.severity == severity
    assert words in one.evidence
    assert "its entry in UDP waits 300 s" in one.evidence
    assert "`ipvsadm --set 0 0 780`" in one.advice


def test_what_is_in_time_or_begins_anew_is_no_such_packet(tmp_path: Path) -> None:
    net = Net(way="nat")
    spoken = ((0.0, ">", PSH | ACK), (0.001, "<", PSH | ACK))
    sent = [
        *net.connection(40000, 0, OPEN),
        *net.connection(40000, 600, spoken),  # type: ignore[arg-type]
        *net.connection(40002, 0, CLOSED),
        *net.connection(40002, 500, CLOSED),  # the port again, by a SYN
        *net.connection(40004, 900, spoken),  # type: ignore[arg-type] # it began before the capture
    ]
    assert finding(analysed(tmp_path, net, sent, "director"), "packet-after-expiry") is None


def test_many_are_counted_and_the_worst_shown(tmp_path: Path) -> None:
    net = Net()
    sent = [hop for k in range(9) for hop in net.connection(40000 + 2 * k, k, OPEN)]
    for k in range(9):
        for way, flags in ((">", PSH | ACK), ("<", RST)):
            hop = Hop(1500.0 + k, flags, 5, ("", 0), ("", 0), 0, 0)
            sent.append(net.alone(hop, way, 40000 + 2 * k, 0))
    found = analysed(tmp_path, net, sent)
    one = late(found)
    assert one.title == "9 connections continued after the entry had expired"
    assert one.evidence.count("a packet came") == 3
    assert "9 in ESTABLISHED, answered with a RST" in one.evidence
    assert "9 connections continued after the entry had expired: 9 reset" in found.verdict


def test_where_the_timer_is_known_lateness_is_to_hundredths(tmp_path: Path) -> None:
    """HZ 100, phase 0: an entry of 30 s that was started at 1000.1 expires at 1030.40."""
    from analyzer.ipvs.states import Flag, State
    from tests.unit.analyzer.builders_packets import Seg
    from tests.unit.analyzer.builders_run import expires_at_s

    gone_s = expires_at_s(1000.1, 30)
    sent = (
        Seg(1000.0, 40000, Flag.SYN),
        Seg(1000.01, 40000, Flag.SYN, reply=True, mac=0x020000000021),
        Seg(1000.1, 40000, Flag.ACK),
        Seg(gone_s + 0.5, 40000, Flag.ACK),
        Seg(gone_s + 0.501, 40000, Flag.RST, reply=True),
    )
    held = Held(40000, ((1000.0, State.SYN_RECV), (1000.1, State.ESTABLISHED)), gone_s)
    timeouts = {"timeouts": {"tcp": 30, "tcpfin": 20, "udp": 300}}
    stage = Stage(lives=[Life(sent, held)], facts=timeouts, until_s=1040.0)
    one = late(stage.played(tmp_path))
    assert "0.5 s too late: its entry in ESTABLISHED waits 30 s" in one.evidence
    assert one.severity == "problem"


# An entry that was removed before its time --------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "place", "link"),
    [
        ("dr", "client", "ethernet"),
        ("dr", "director", "sll"),
        ("nat", "director", "ethernet"),
        ("nat", "director", "raw"),
    ],
)
def test_a_reset_by_the_director_within_the_timeout_says_that_the_entry_was_gone(
    tmp_path: Path, way: Way, place: Place, link: Link
) -> None:
    """Nobody read the timeouts: 60 s may be in force where 900 are assumed."""
    net = Net(way=way)
    sent = [
        *net.connection(40000, 0, OPEN),
        alone(net, 100.0, ">", PSH | ACK),
        alone(net, 100.001, "<", RST),
        *net.connection(50000, 1, CLOSED),
    ]
    found = analysed(tmp_path, net, sent, place, link, timeouts=None)
    one = late(found)
    assert one.severity == "problem"
    assert f"{NAME} (100.0 s): a packet came 100.0 s after the one before it" in one.evidence
    assert "the entry was gone, although in ESTABLISHED it waits 900 s" in one.evidence
    assert "assumed: tcp 900 s, the kernel's default" in one.evidence
    assert "a timeout shorter than 100.0 s may be in force" in one.advice
    assert "1 connection continued after the entry had expired: reset" in found.verdict
    assert finding(found, "reset-by-server") is None


@pytest.mark.parametrize(("asked", "answered_by"), [("bal01", "bal01"), ("bal02", "bal02")])
def test_only_the_director_that_the_packet_went_to_is_without_its_entry(
    tmp_path: Path, asked: str, answered_by: str
) -> None:
    """After a fail-over the other director resets what it has no entry for; bal01's was there."""
    nets = {"bal01": Net(), "bal02": Net(director_mac=DIRECTOR_MAC + 1)}
    sent = [
        *nets["bal01"].connection(40000, 0, OPEN),
        alone(nets[asked], 100.0, ">", PSH | ACK),
        alone(nets[answered_by], 100.001, "<", RST),
        *nets["bal01"].connection(50000, 1, CLOSED),
        *nets["bal02"].connection(50002, 90, CLOSED),
    ]
    analysed(tmp_path, nets["bal01"], sent)
    path = tmp_path / "run" / MANIFEST
    manifest = json.loads(path.read_text())
    (facts,) = manifest["directors"].values()
    manifest["directors"] = {
        name: facts | {"macs": [":".join(re.findall("..", f"{net.director_mac:012x}"))]}
        for name, net in nets.items()
    }
    path.write_text(json.dumps(manifest))
    found = analyse(Recording.open(tmp_path / "run"))
    one = finding(found, "packet-after-expiry")
    assert (one is not None) == (asked == "bal01")
    assert "continued after the entry" not in found.verdict or asked == "bal01"
    assert one is None or f"{NAME} (100.0 s)" in one.evidence
    assert finding(found, "reset-by-server") is None or asked == "bal02"


def test_a_real_servers_packet_that_is_not_translated_says_so_too(tmp_path: Path) -> None:
    net = Net(way="nat")
    data = net.back(Hop(100, PSH | ACK, 9, ("", 0), ("", 0), 0, 0), 40000, 0)[0]
    rst = net.forth(Hop(100, RST, 9, ("", 0), ("", 0), 0, 0), 40000, 0)[1]
    sent = [*net.connection(40000, 0, OPEN), data, rst, *net.connection(50000, 1, CLOSED)]
    one = late(analysed(tmp_path, net, sent, "director"))
    assert "its real server's packet came 100.0 s after" in one.evidence
    assert "although in ESTABLISHED it waits 900 s" in one.evidence


@pytest.mark.parametrize("link", ["ethernet", "sll2"])
def test_where_nothing_shows_who_reset_the_pause_before_it_is_reported(
    tmp_path: Path, link: Link
) -> None:
    net = Net(way="nat")
    sent = [
        *net.connection(40000, 0, OPEN),
        alone(net, 100.0, ">", PSH | ACK),
        alone(net, 100.001, "<", RST),
    ]
    found = analysed(tmp_path, net, sent, "client", link)
    assert finding(found, "packet-after-expiry") is None
    one = finding(found, "reset-by-server")
    assert one is not None
    assert one.title == "1 connection was reset by a real server or the director"
    assert "The pause before the resets was 100.0 s" in one.evidence


def test_a_director_that_resets_at_once_met_no_expired_entry(tmp_path: Path) -> None:
    net = Net(way="nat")
    sent = [
        *net.connection(40000, 0, OPEN),
        alone(net, 0.5, ">", PSH | ACK),
        alone(net, 0.501, "<", RST),
    ]
    found = analysed(tmp_path, net, sent, "director")
    assert finding(found, "packet-after-expiry") is None
    one = finding(found, "reset-by-server")
    assert one is not None
    assert one.title == "1 connection was reset by the director itself"
