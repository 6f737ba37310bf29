"""A fail-over's recording: who was master by whichever capture shows it, and what is no capture."""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vrrp import VRRP

from analyzer.evidence.captures import ReadOnce
from analyzer.evidence.gather import gather
from analyzer.parts import IN_MEMORY
from analyzer.parts.inputs import opened
from analyzer.recording.directory import (
    CAPTURE,
    Recording,
    RecordingWriter,
    vrrp_capture_name,
)
from analyzer.wire.vrrp import read_announcements
from tests.unit.analyzer.builders_packets import CLIENT, NS, SYN, ethernet, ipv4, pcap, tcp
from tests.unit.analyzer.failover.builders_wire import ADDRESSES, MACS, PORT, VIP, at

if TYPE_CHECKING:
    from analyzer.evidence.evidence import Evidence
    from analyzer.parts.inputs import InputFile
    from analyzer.wire.vrrp import Announcements

VIRTUAL = 0x00005E000129
GROUP = "224.0.0.18"


def text(mac: int) -> str:
    return ":".join(f"{byte:02x}" for byte in mac.to_bytes(6, "big"))


def advert(second: float, who: str, to: str) -> tuple[int, bytes]:
    network = IP(src=ADDRESSES[who], dst=to, ttl=255)
    return at(second), bytes(Ether(src=text(VIRTUAL)) / network / VRRP(vrid=41, addrlist=[VIP]))


def syn(second: float, port: int) -> tuple[int, bytes]:
    packet = ipv4(tcp(SYN, source_port=port), source=CLIENT, destination=VIP)
    return at(second), ethernet(packet, destination=VIRTUAL)


def gathered(
    path: Path, on_client: list[tuple[int, bytes]], **on_directors: list[tuple[int, bytes]] | None
) -> Evidence:
    """Directors that share the virtual MAC; bal01 is master up to 5 s, bal02 from then on."""
    manifest = {
        "command": "failover",
        "failover": {"fault": "bal01: crash", "vrrp_captured_on": list(on_directors)},
        "service": {"protocol": "TCP", "vip": VIP, "port": PORT},
        "directors": {
            name: {"macs": [text(mac), text(VIRTUAL)], "addresses": [ADDRESSES[name]]}
            for name, mac in MACS.items()
        },
        "not_measured": [],
    }
    writer = RecordingWriter(path / "run", manifest)
    sent = sorted([*on_client, syn(3, 40001), syn(7, 40002)])
    writer.write_capture(CAPTURE, [pcap(sent)])
    for number, seen in enumerate(on_directors.values()):
        content = b"no capture" if seen is None else pcap(seen)
        writer.write_capture(vrrp_capture_name(number), [content])
    writer.close("completed")
    return gather(Recording.open(path / "run"))


def masters(to: str) -> list[tuple[int, bytes]]:
    return [advert(1, "bal01", to), advert(5, "bal02", to)]


def takers(evidence: Evidence) -> list[int]:
    """Whose MAC each SYN went to."""
    assert evidence.segments is not None
    return [int(mac) for mac in evidence.segments.destination_mac]


def test_frames_to_the_shared_mac_are_the_masters_that_the_client_saw(tmp_path: Path) -> None:
    evidence = gathered(tmp_path, masters(GROUP))
    assert takers(evidence) == [MACS["bal01"], MACS["bal02"]]
    assert [each.macs for each in evidence.directors] == [{mac} for mac in MACS.values()]


@pytest.mark.parametrize("flooded", [[], [advert(6.5, "bal01", "192.168.10.12")]])
def test_of_unicast_the_directors_captures_show_the_masters(
    tmp_path: Path, flooded: list[tuple[int, bytes]]
) -> None:
    """What a switch flooded to the client is not all of it."""
    first, second = masters("192.168.10.19")
    evidence = gathered(tmp_path, flooded, bal01=[second], bal02=[first])
    assert takers(evidence) == [MACS["bal01"], MACS["bal02"]]
    assert sorted(evidence.seen_on) == ["bal01", "bal02"]


def test_without_an_advertisement_the_mac_stays_shared(tmp_path: Path) -> None:
    assert takers(gathered(tmp_path, [])) == [VIRTUAL, VIRTUAL]


def test_each_directors_capture_is_read_and_what_is_none_is_a_gap(tmp_path: Path) -> None:
    evidence = gathered(tmp_path, [], bal01=None, bal02=masters(GROUP))
    (seen,) = evidence.seen_on.values()
    assert list(evidence.seen_on) == ["bal02"]
    assert [row.at_ns - at(0) for row in seen.advertisements] == [1 * NS, 5 * NS]
    assert "VRRP as bal01 sees it" in [row.what for row in evidence.not_measured]


def test_a_directors_capture_that_was_cut_off_is_read_up_to_there_and_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(path: Path) -> InputFile:
        file = opened(path)
        if path.name == vrrp_capture_name(1):
            os.truncate(path, len(file) - 9)
        return file

    monkeypatch.setattr("analyzer.recording.directory.reader.opened", cut_off)
    evidence = gathered(tmp_path, [], bal01=masters(GROUP), bal02=masters(GROUP))
    counts = [len(seen.advertisements) for seen in evidence.seen_on.values()]
    assert counts == [2, 1]
    (what,) = [row.what for row in evidence.not_measured if row.what.startswith("the last")]
    assert what.endswith("bytes of VRRP as bal02 sees it")


def test_a_capture_that_is_cut_off_before_announcements_are_looked_for_is_a_gap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*captures: InputFile) -> Announcements:
        os.truncate(captures[0].path, 0)
        return read_announcements(*captures)

    monkeypatch.setattr("analyzer.evidence.gather.read_announcements", cut_off)
    evidence = gathered(tmp_path, masters(GROUP))
    assert takers(evidence) == [VIRTUAL, VIRTUAL]  # its packets were read before
    (row,) = [row for row in evidence.not_measured if row.what.startswith("the last")]
    assert "as to who announced what" in row.what
    assert "cut off" in row.why


def test_packets_that_were_read_before_are_given_back_once_segments_are_made_of_them() -> None:
    run = Recording.open(Path(__file__).resolve().parents[3] / "data" / "dr-burst-50")
    read = ReadOnce(run.captures(), IN_MEMORY)
    packets = weakref.ref(read.packets().at_ns)
    evidence = gather(run, read=read)
    assert evidence.segments is not None
    assert packets() is None
