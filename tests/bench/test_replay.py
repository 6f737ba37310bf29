"""How fast a director's mind is replayed: a million connections of eight packets, on one core."""

from __future__ import annotations

import resource
import statistics
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag, State, Timeouts
from analyzer.predicted.replay import Beliefs, DirectorRules, replay
from analyzer.wire.segments import Segments
from tests.unit.analyzer.predicted.reference import Packet, replay_slowly

if TYPE_CHECKING:
    import pytest

CONNECTIONS, PACKETS = 1_000_000, 8
BAR_S = 3.0
RUNS = 5
SLOW_CONNECTIONS = 20_000
FLAGS = (Flag.SYN, Flag.ACK, Flag.ACK, Flag.ACK, Flag.ACK, Flag.ACK, Flag.FIN, Flag.ACK)
RULES = DirectorRules(sees_replies=False, timeouts=Timeouts(), hz=100, phase_s=0.0)


def segments(connections: int) -> tuple[Segments, np.ndarray]:
    """Connections of eight packets, 10 ms apart, begun over 100 s."""
    size = connections * PACKETS
    step_s = np.tile(np.arange(PACKETS) * 0.01, connections)
    uptime_s = np.repeat(np.linspace(0, 100, connections), PACKETS) + step_s
    made = Segments(
        flow=np.repeat(np.arange(connections), PACKETS),
        at_ns=(uptime_s * 1e9).astype(np.int64),
        to_vip=np.ones(size, dtype=bool),
        flag=np.tile(np.array(FLAGS, dtype=np.int8), connections),
        sequence=np.zeros(size, dtype=np.int64),
        ttl=np.full(size, 64, dtype=np.uint8),
        source_mac=np.zeros(size, dtype=np.int64),
        destination_mac=np.zeros(size, dtype=np.int64),
        flows=pd.DataFrame(),
    )
    return made, uptime_s


def timed(connections: int) -> tuple[float, Beliefs]:
    """The median of some runs, seconds."""
    made, uptime_s = segments(connections)
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        beliefs = replay(made, uptime_s, RULES)
        took.append(time.perf_counter() - began)
    return statistics.median(took), beliefs


def test_a_million_connections_are_replayed_within_three_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    took_s, beliefs = timed(CONNECTIONS)
    assert (beliefs.state[PACKETS - 1 :: PACKETS] == State.FIN_WAIT).all()
    slow_s = slowly()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with capsys.disabled():
        packets = CONNECTIONS * PACKETS
        rate, slow_rate = packets / took_s, SLOW_CONNECTIONS * PACKETS / slow_s
        print(f"\nreplay of {packets:,} packets: {took_s:.2f} s, {rate:,.0f} packets/s")
        print(
            f"the reference, in the same run: {slow_rate:,.0f} packets/s ({rate / slow_rate:.0f}x)"
        )
        print(f"peak memory of the process: {peak_mb:,.0f} MB")
    assert took_s <= BAR_S


def test_memory_grows_no_faster_than_the_connections(capsys: pytest.CaptureFixture[str]) -> None:
    import tracemalloc

    used = []
    for connections in (50_000, 100_000, 200_000):
        made, uptime_s = segments(connections)
        tracemalloc.start()
        replay(made, uptime_s, RULES)
        used.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    with capsys.disabled():
        print(
            "\npeak of a replay, bytes per packet:",
            [round(u / n / PACKETS) for u, n in zip(used, (50_000, 100_000, 200_000), strict=True)],
        )
    assert used[2] / used[0] <= 4 * 1.1


def slowly() -> float:
    """The slow reference on fewer connections, seconds."""
    made, uptime_s = segments(SLOW_CONNECTIONS)
    packets = [
        Packet(flow=flow, uptime_s=at_s, to_vip=True, flag=Flag(flag))
        for flow, at_s, flag in zip(
            made.flow.tolist(), uptime_s.tolist(), made.flag.tolist(), strict=True
        )
    ]
    began = time.perf_counter()
    for _ in replay_slowly(packets, RULES):
        pass
    return time.perf_counter() - began
