"""Packets after their entries' ends: all kinds at once, in however many parts they are found."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import nullcontext
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.compared.curves import observed_curves
from analyzer.evidence.gather import gather
from analyzer.measure import measure
from analyzer.parts import PART_ROWS, InMemory
from analyzer.recording.directory import Recording
from analyzer.recording.spill import spilled
from analyzer.traces.expired import LateKind, LatePacket, LatePackets, late_packets
from analyzer.traces.expired.model import LateCases, Tally
from analyzer.traces.resets import resets
from tests.importing import import_folder
from tests.unit.analyzer.builders_capture import (
    ACK,
    CLOSED,
    DATAGRAM,
    FIN,
    PSH,
    RST,
    Hop,
    Net,
    capture,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from analyzer.parts import Store
    from tests.unit.analyzer.builders_capture import Step

OPEN = CLOSED[:5]
HALF_CLOSED: tuple[Step, ...] = (*OPEN, (0.005, ">", FIN | ACK), (0.006, "<", ACK))
AGAIN: tuple[Step, ...] = ((0.0, ">", PSH | ACK), (0.001, "<", PSH | ACK))
ASKS: tuple[Step, ...] = ((0.0, ">", DATAGRAM), (0.01, "<", DATAGRAM))
TIMEOUTS = {"tcp": 900, "tcpfin": 120, "udp": 300}
FEW_ROWS = 10


def of_tcp() -> Iterator[Hop]:
    """Seven connections, each of which goes on too late in a way of its own; and again."""
    net = Net(way="nat")

    def alone(at_s: float, way: str, flags: int) -> Hop:
        return net.alone(Hop(at_s, flags, 5, ("", 0), ("", 0), 0, 0), way, port, port % 2)

    for k in range(2):
        port = 40000 + k
        for number, began in enumerate((OPEN, OPEN, OPEN, HALF_CLOSED, HALF_CLOSED, OPEN, OPEN)):
            port = 40000 + 10 * number + k
            yield from net.connection(port, k, began)
            data = Hop(70 + k, PSH | ACK, 9, ("", 0), ("", 0), 0, 0)
            arrives, leaves = net.back(data, port, port % 2)
            refused = net.forth(Hop(70 + k, RST, 9, ("", 0), ("", 0), 0, 0), port, port % 2)[1]
            ends = (arrives.source, arrives.target, leaves.by, leaves.to)
            yield from (
                (alone(1200 + k, ">", PSH | ACK), alone(1200.001 + k, "<", RST)),
                (alone(1200 + k, ">", PSH | ACK), alone(1200.2 + k, ">", PSH | ACK)),
                net.connection(port, 1200 + k, AGAIN),
                (arrives, refused),
                (arrives, Hop(leaves.at_s, leaves.flags, 9, *ends)),
                (alone(100 + k, ">", PSH | ACK), alone(100.001 + k, "<", RST)),
                (arrives, refused),
            )[number]
    yield from net.connection(50000, 1300, CLOSED)


def of_udp() -> Iterator[Hop]:
    """Conversations that go on after their entries' ends, with the same or another server."""
    net = Net(way="nat", vport=53)
    for k in range(6):
        others = net if k % 2 else Net(way="nat", vport=53, servers=net.servers[::-1])
        yield from net.connection(40000 + k, k, ASKS)
        yield from others.connection(40000 + k, 400 + 10 * k, ASKS)


SENT = {"TCP": (of_tcp, Net(way="nat")), "UDP": (of_udp, Net(way="nat", vport=53))}


@pytest.fixture(scope="module", params=SENT)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recording, LatePackets]:
    """A recording, and its late packets, found at once."""
    hops, net = SENT[request.param]
    path = tmp_path_factory.mktemp("late")
    (path / "some.pcap").write_bytes(capture(hops(), "director", "ethernet", net))
    document = {"vip": net.vip, "port": net.vport, "protocol": request.param, "timeouts": TIMEOUTS}
    (path / "meta.json").write_text(json.dumps(document))
    import_folder([path], path / "run")
    recording = Recording.open(path / "run")
    return recording, late_of(recording, InMemory(PART_ROWS))


def late_of(recording: Recording, store: Store) -> LatePackets:
    evidence = gather(recording, store)
    observed = observed_curves(evidence.services, evidence.zero_ns)
    measured = [measure(director, evidence, observed) for director in evidence.directors]
    return late_packets(evidence, measured, resets(evidence, measured))


def columns(late: LatePackets) -> list[list[list[object]]]:
    return [
        [getattr(cases, field.name).tolist() for field in fields(LateCases)] for cases in late.cases
    ]


def test_each_kind_is_found_and_counted(found: tuple[Recording, LatePackets]) -> None:
    counts: Counter[tuple[str, bool, bool | None]] = Counter()
    for kind, tally in found[1].kinds.items():
        counts[kind.answer, kind.sooner, kind.moved] += tally.n
    assert counts in (dict.fromkeys(KINDS_OF_TCP, 2), dict.fromkeys(KINDS_OF_UDP, 3))


KINDS_OF_TCP = (
    ("reset", False, None),
    ("none", False, None),
    ("sent-on", False, None),
    ("reset-to-server", False, None),
    ("untranslated", False, None),
    ("reset", True, None),
    ("reset-to-server", True, None),
)
KINDS_OF_UDP = (("new-entry", False, True), ("new-entry", False, False))


@pytest.mark.parametrize("in_files", [False, True])
def test_all_is_the_same_in_however_many_parts(
    found: tuple[Recording, LatePackets], tmp_path: Path, in_files: bool
) -> None:
    recording, whole = found
    in_memory = nullcontext(InMemory(FEW_ROWS))
    with spilled(tmp_path, FEW_ROWS) if in_files else in_memory as store:
        parts = late_of(recording, store)
        assert list(parts.kinds.items()) == list(whole.kinds.items())
        assert parts.examples == whole.examples
        assert parts.longest_pause_s == whole.longest_pause_s
        assert columns(parts) == columns(whole)


def packet(kind: LateKind, late_s: float, flow: int) -> LatePacket:
    return LatePacket(
        flow=flow, at_ns=0, kind=kind, pause_s=900 + late_s, late_s=(late_s, late_s), packets=1
    )


def test_directors_together_have_the_worst_examples_and_the_sums_of_each_kind() -> None:
    kinds = [
        LateKind(
            by="client",
            state="ESTABLISHED",
            timeout_s=900.0,
            assumed=False,
            answer=answer,
            moved=None,
            sooner=False,
            at_the_edge=False,
        )
        for answer in ("reply", "reset")
    ]
    reply, reset = kinds
    one, other = (
        LatePackets(
            kinds={kind: Tally(n, 900.0 + n, 1000.0 + n) for kind, n in tallies},
            examples=tuple(packet(kind, late_s, flow) for kind, late_s, flow in examples),
            longest_pause_s=pause_s,
        )
        for tallies, examples, pause_s in (
            ([(reply, 2)], [(reply, 9.0, 1), (reply, 8.0, 2)], 5.0),
            ([(reset, 1), (reply, 3)], [(reset, 1.0, 3), (reply, 9.0, 4), (reply, 7.0, 5)], None),
        )
    )
    both = LatePackets.together([one, other])
    assert list(both.kinds.items()) == [
        (reply, Tally(5, 902.0, 1003.0)),
        (reset, Tally(1, 901.0, 1001.0)),
    ]
    assert [case.flow for case in both.examples] == [3, 1, 4]
    assert both.longest_pause_s == 5.0


def test_flows_that_were_reset_are_asked_for_in_a_range() -> None:
    cases = LateCases(
        flow=np.array([1, 3, 3, 4, 7]),
        at_ns=np.zeros(5, dtype=np.int64),
        late_s=np.zeros(5),
        is_reset=np.array([True, False, True, False, True]),
    )
    late = LatePackets(kinds={}, cases=(cases, cases.near(np.array([7]))))
    assert late.reset_flows(np.array([2, 4])).tolist() == [3]
    assert late.reset_flows(np.array([4, 9])).tolist() == [7, 7]
    assert late.reset_flows(np.zeros(0, dtype=np.int64)).tolist() == []
