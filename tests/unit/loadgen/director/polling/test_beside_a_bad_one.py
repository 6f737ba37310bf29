"""A director that means ill, watched beside a good one, whose polls go on."""

from __future__ import annotations

import asyncio
import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.director.connect import connect_directors
from loadgen.director.links.clients import director_client
from loadgen.director.links.link import Link
from loadgen.director.polling.poller import Poller
from tests.memory import forget_peak, memory_bytes
from tests.unit.loadgen.director.polling.builders_polls import take_time
from tests.unit.waiting import LIMIT_S

PROGRAM = Path(__file__).parents[4] / "hostile" / "director.py"
MODES = {
    "huge": {("link-lost", "an answer of more than 16 MB"), ("link-back", "polling again")},
    "line": {("link-lost", "an answer of more than 32 MB")},
    "slow": set(),
    "stderr": set(),
    "bigint": {("lines-unreadable", "2 of services"), ("lines-unreadable", "2 of counters")},
    "escape": set(),
    "garbage": {("link-lost", "/proc/uptime cannot be parsed")},
}
"""Of a director, and the events that it must leave."""

WATCHED_S = 4.0
LONGEST_GAP_S = 3.0
"""Polls are a quarter of a second apart; a busy machine gets more, a loop held up took 15 s."""

LONGEST_HOLD_S = 1.5
MOST_MEMORY_BYTES = 200_000 << 10
"""Beyond what the process holds before: other tests have run in it."""


def link(name: str, mode: str) -> Link:
    argv = (sys.executable, str(PROGRAM), mode)
    return Link(name=name, kind="exec", spec=f"exec:{mode}", argv=argv)


def waited_s() -> float:
    """How long this process has waited for a CPU, with all of its threads."""
    return sum(_waited_ns(thread) for thread in Path("/proc/self/task").iterdir()) / 1e9


def good_waited_s() -> float:
    """How long the good director has, too."""
    processes = Path("/proc/thread-self/children").read_text().split()
    return sum(_waited_ns(Path("/proc", number)) for number in processes if _is_good(number)) / 1e9


def _is_good(number: str) -> bool:
    return Path("/proc", number, "cmdline").read_bytes().endswith(b"\0good\0")


def _waited_ns(thread: Path) -> int:
    """See the kernel's sched-stats.rst; nothing of one that has ended meanwhile."""
    try:
        return int((thread / "schedstat").read_text().split()[1])
    except OSError:
        return 0


@dataclass(frozen=True)
class Watch:
    """What came of a watch: the longest that it held its event loop, the good director's wait."""

    recording: Recording
    longest_hold_s: float
    good_waited_s: float


def watched(path: Path, *modes: str) -> Watch:
    """A watch of directors of some modes.

    That others had the CPU meanwhile is no fault of it. It goes on until the events are noted that
    these modes must leave.
    """
    recording = RecordingWriter(path, {})
    missing = set().union(*(MODES.get(mode, set()) for mode in modes))
    recording.follow("events", lambda row: missing.discard((row["kind"], row["detail"])))

    async def main() -> tuple[float, float]:
        loop, longest_s = asyncio.get_running_loop(), 0.0
        clients = [director_client(link(mode, mode)) for mode in modes]
        facts = await connect_directors(clients, None, print)
        pollers = [
            Poller(client, recording, facts=known, waits_for_it=True)
            for client, known in zip(clients, facts, strict=True)
        ]
        async with pollers[0]:
            for other in pollers[1:]:
                await other.__aenter__()
            ends_s = loop.time() + WATCHED_S
            while (began_s := loop.time()) < ends_s + (LIMIT_S if missing else 0):
                stalled_s = waited_s()
                await asyncio.sleep(0.01)  # how late it wakes is what is measured
                late_s = loop.time() - began_s - 0.01 - (waited_s() - stalled_s)
                longest_s = max(longest_s, late_s)
            good_s = good_waited_s()
            for other in pollers[1:]:
                await other.__aexit__(None, None, None)
        return longest_s, good_s

    longest_s, good_s = asyncio.run(main())
    recording.close("completed")
    return Watch(Recording.open(path), longest_s, good_s)


@pytest.mark.parametrize("mode", MODES)
def test_the_polls_of_a_good_director_go_on(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_time(monkeypatch)
    forget_peak()
    before_bytes = memory_bytes("VmRSS")
    began_s = waited_s()
    watch = watched(tmp_path, "good", mode)
    longest_gap_s = LONGEST_GAP_S + waited_s() - began_s + watch.good_waited_s
    peak_bytes = memory_bytes("VmHWM")
    recording = watch.recording
    polls, services = recording.table("polls"), recording.table("services")
    at_s = [at.timestamp() for at in polls[polls["director"] == "good"]["asked"]]
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(at_s)]
    assert at_s[-1] - at_s[0] > WATCHED_S - longest_gap_s
    assert max(gaps_s) < longest_gap_s
    assert watch.longest_hold_s < LONGEST_HOLD_S
    assert len(services[services["director"] == "good"]) == 4 * len(at_s)
    assert peak_bytes - before_bytes < MOST_MEMORY_BYTES
    events = recording.table("events")
    assert set(events["host"]) <= {mode}
    noted = set(zip(events["kind"], events["detail"], strict=True))
    assert MODES[mode] <= noted
