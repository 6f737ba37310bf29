"""Which captures a run opens, and through which interface its packets leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import RecordingWriter
from loadgen.capture import start
from loadgen.capture.filters import expression, program
from loadgen.capture.model import CaptureRefused
from loadgen.capture.start import CaptureOptions, interface_to, open_captures
from loadgen.load.aim import MOST_TARGETS
from loadgen.target import Target

if TYPE_CHECKING:
    from pathlib import Path


def test_loopback_is_reached_through_lo() -> None:
    assert interface_to("127.0.0.1") == "lo"


@pytest.mark.parametrize("address", ["not an address", "999.1.1.1"])
def test_no_route_is_no_capture(address: str) -> None:
    with pytest.raises(CaptureRefused, match="no route"):
        interface_to(address)


def targets(*vips: str) -> list[Target]:
    return [Target(vip=vip, port=80) for vip in vips]


def opened(path: Path, *vips: str) -> list[str]:
    """What a run without a capture says is not measured, and why."""
    recording = RecordingWriter(path, {"not_measured": []})
    captures = open_captures(
        CaptureOptions(), targets(*vips), recording, lambda _: None, on=None, client_interface=None
    )
    recording.close("completed")
    assert not captures
    return [row["why"] for row in recording.manifest["not_measured"]]


def test_targets_behind_several_interfaces_need_one_that_shows_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = {"10.0.0.1": "eth0", "10.0.0.2": "eth1", "10.0.0.3": "eth0"}
    monkeypatch.setattr(start, "interface_to", ways.__getitem__)
    assert opened(tmp_path, *ways) == [
        "no capture: the targets are reached through eth0, eth1; name an interface that shows the "
        "packets of all with --interface"
    ]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (targets("10.0.0.1"), "(host 10.0.0.1 and tcp port 80) or arp"),
        (
            targets("10.0.0.1", "10.0.0.2", "10.0.0.1"),
            "((host 10.0.0.1 or host 10.0.0.2) and tcp port 80) or arp",
        ),
        (
            [*targets("10.0.0.1"), Target(vip="10.0.0.1", port=443)],
            "(host 10.0.0.1 and tcp port 80) or (host 10.0.0.1 and tcp port 443) or arp",
        ),
    ],
)
def test_the_packets_of_all_targets_are_wanted(given: list[Target], wanted: str) -> None:
    assert expression(given).startswith(wanted)
    assert program(expression(given), "lo", 160)


def test_a_filter_for_as_many_targets_as_a_load_may_have_fits_the_kernel() -> None:
    many = [Target(vip=f"fd00:{n:x}::{n:x}", port=80 + n) for n in range(MOST_TARGETS)]
    assert len(program(expression(many), "lo", 160)) // 8 < 4096
