"""Frames to a MAC that directors share are the master's of their time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.evidence.captures import Captured, ReadOnce, read_captures
from analyzer.evidence.virtual_macs import by_master
from analyzer.ipvs.states import Flag
from tests.unit.analyzer.builders_packets import BOOT_NS, Seg, pcap, segments
from tests.unit.analyzer.failover.builders_wire import ADDRESSES, MACS, ZERO_NS, Silence

if TYPE_CHECKING:
    from analyzer.recording.director import Director

VIRTUAL = 0x00005E000129


def captured(*at_s: float) -> Captured:
    """SYNs to the virtual MAC."""
    seen = [Seg(at_s=at, port=1000 + n, flag=Flag.SYN, mac=VIRTUAL) for n, at in enumerate(at_s)]
    made = segments(seen)
    made = replace(made, at_ns=made.at_ns - BOOT_NS + ZERO_NS)
    read, _ = read_captures(ReadOnce({"capture.pcap": memoryview(pcap([]))}), [], frozenset())
    assert read is not None
    return replace(read, segments=made, once=made)


def pair(*shared: int) -> tuple[Director, ...]:
    return tuple(
        replace(
            each,
            macs=frozenset({MACS[each.name], *shared}),
            addresses=frozenset({ADDRESSES[each.name]}),
        )
        for each in Silence().evidence().directors
    )


def test_a_frame_to_the_shared_mac_is_the_masters_of_its_time() -> None:
    inputs = Silence()
    adverts = inputs.wire.announcements().advertisements
    wire = captured(0.1, inputs.last_s, inputs.taken_s - 0.1, inputs.taken_s + 0.1)
    found, directors = by_master(wire, adverts, pair(VIRTUAL))
    first, second = MACS["bal01"], MACS["bal02"]
    assert found.segments.destination_mac.tolist() == [first, first, first, second]
    assert found.once.destination_mac.tolist() == [first, first, first, second]
    assert [each.macs for each in directors] == [{first}, {second}]


def test_without_a_shared_mac_or_an_advertisement_nothing_changes() -> None:
    wire, adverts = captured(1.0), Silence().wire.announcements().advertisements
    for found, directors in (by_master(wire, adverts, pair()), by_master(wire, (), pair(VIRTUAL))):
        assert found is wire
        assert len(directors) == 2
