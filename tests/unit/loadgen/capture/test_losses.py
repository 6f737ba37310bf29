"""What a capture lost is known: by the kernel's counter, a full disk, or an interface that is down.

A source of ours stands in for the kernel; ``test_rings`` has a real ring that drops.
"""

from __future__ import annotations

import asyncio
import errno
import re
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.capture import local
from loadgen.capture.files import cut_record
from loadgen.capture.local import Capture
from loadgen.capture.model import CapturePlan, CaptureWith, PacketSink
from loadgen.target import Target
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NS = 1_000_000_000


class Scripted:
    """A source that does one thing after another, and then has nothing more to give."""

    name: CaptureWith = "ring"

    def __init__(self, steps: Iterator[Callable[[PacketSink], bool]], drops: list[int]) -> None:
        self._steps = steps
        self._drops = drops
        self.used_up = False

    def take(self, sink: PacketSink, wait_s: float) -> bool:
        return next(self._steps, self._nothing)(sink)

    def _nothing(self, _: PacketSink) -> bool:
        self.used_up = True
        return False

    def dropped(self) -> int:
        return self._drops.pop(0) if self._drops else 0

    def close(self) -> None:
        pass


def packet(sink: PacketSink) -> bool:
    sink.write(cut_record(NS, b"x" * 60, 60), 1, NS)
    return True


def down(sink: PacketSink) -> bool:
    raise OSError(errno.ENETDOWN, "Network is down")


def full(sink: PacketSink) -> bool:
    raise OSError(errno.ENOSPC, "No space left on device")


Ran = tuple[Capture, list[dict[str, Any]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    def ran(
        *steps: Callable[[PacketSink], bool], drops: tuple[int, ...] = (), size: int | None = None
    ) -> Ran:
        source = Scripted(iter(steps), list(drops))
        monkeypatch.setattr(local, "open_source", lambda *_: source)
        events: list[dict[str, Any]] = []
        plan = CapturePlan(
            targets=(Target(vip="10.0.0.1", port=80),),
            path=tmp_path / "capture.pcap",
            size_bytes=size,
        )
        capture = Capture("lo", plan, lambda row: events.append(dict(row)))

        async def main() -> None:
            async with capture:
                assert await until(lambda: source.used_up or capture.manifest()["failure"])

        asyncio.run(main())
        return capture, events

    return ran


def test_drops_are_an_event_with_their_number_and_time_range(run: Callable[..., Ran]) -> None:
    capture, events = run(packet, drops=(12,))
    assert [(event["host"], event["kind"]) for event in events] == [("client", "capture-drop")]
    assert re.fullmatch(r"12 packets within \d+\.\d\d s", events[0]["detail"])
    assert capture.manifest()["dropped"] == 12
    assert capture.not_measured() == []


def test_an_interface_that_goes_down_is_an_event_and_the_capture_goes_on(
    run: Callable[..., Ran],
) -> None:
    capture, events = run(packet, down, packet)
    assert [(event["kind"], event["detail"]) for event in events] == [
        ("capture-interface-down", "lo")
    ]
    assert capture.manifest()["packets"] == 2
    assert capture.manifest()["failure"] is None


def test_a_full_disk_ends_the_capture_and_says_when(run: Callable[..., Ran]) -> None:
    capture, events = run(packet, full, packet)
    assert [event["kind"] for event in events] == ["capture-stopped"]
    assert capture.manifest()["packets"] == 1
    assert not capture.has_deleted
    assert "No space left on device" in capture.manifest()["failure"]
    (row,) = capture.not_measured()
    assert re.fullmatch(r"packets from [\d:.]+ UTC on", row["what"])
    assert "No space left" in row["why"]


def test_packets_that_made_room_are_not_measured(run: Callable[..., Ran]) -> None:
    capture, events = run(*[packet] * 40, size=1000)
    assert {event["kind"] for event in events} == {"capture-deleted"}
    assert events[0]["detail"] == "capture.pcap: 1 packets up to 00:00:01.000 UTC"
    assert capture.has_deleted
    (row,) = capture.not_measured()
    assert row["what"] == "packets before 00:00:01.000 UTC"
    assert "1000 bytes" in row["why"]
