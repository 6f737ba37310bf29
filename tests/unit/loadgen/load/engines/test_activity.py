"""An engine as an activity: real workers, their rows, their events, their end."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.errors import RunFailed
from loadgen.load.engines.activity import Burst
from loadgen.load.engines.sources import SourcePorts
from loadgen.load.engines.tally import Tally
from loadgen.load.engines.workers.pool import Workers
from tests.unit.loadgen.load.engines.conduct import plan
from tests.unit.loadgen.servers import NOT_FOUND, OK, Server
from tests.unit.waiting import until

if TYPE_CHECKING:
    from pathlib import Path


def recorded(
    server: Server, path: Path, *, stop_early: bool = False, **more: Any
) -> tuple[Burst, Tally, Recording]:
    recording = RecordingWriter(path, {})
    tallies: list[Tally] = [Tally()]

    async def main() -> Burst:
        async with server.running():
            load_plan = plan(server.port, **more)
            async with Burst(load_plan, recording, tallies.append, print) as burst:
                assert not burst.ended.is_set()
                if stop_early:
                    await server.asked.wait()
                else:
                    await burst.done()
            return burst

    burst = asyncio.run(main())
    recording.close("completed")
    return burst, tallies[-1], Recording.open(path)


@pytest.mark.parametrize("engine", ["http", "sockets"])
@pytest.mark.parametrize("processes", [1, 3])
def test_a_burst_records_its_requests_and_when_it_began_and_ended(
    engine: str, processes: int, tmp_path: Path
) -> None:
    server = Server(OK)
    options: dict[str, Any] = {"requests": 40, "concurrency": 4, "processes": processes}
    burst, tally, recording = recorded(server, tmp_path, engine=engine, **options)
    assert burst.ended.is_set()
    assert len(burst.sources) == len(server.peers) == 40
    assert all(peer in burst.sources for peer in server.peers)
    assert (tally.ended, tally.failed) == (40, 0)
    rows = recording.table("requests")
    assert sorted(rows["id"]) == list(range(40))
    assert set(zip(rows["source_ip"], rows["source_port"], strict=True)) == set(server.peers)
    assert (rows["closer"] == "client").all()
    events = recording.table("events")
    assert events["kind"].tolist() == ["burst-start", "burst-end"]
    assert events["detail"].tolist()[0] == "40 requests"
    shown = burst.manifest()
    assert shown["name"] == engine
    assert len(shown["cpu_s"]) == processes
    assert all(0 < cpu_s < 10 for cpu_s in shown["cpu_s"])


def test_failures_are_counted_by_what_they_say(tmp_path: Path) -> None:
    _, tally, _ = recorded(Server(NOT_FOUND), tmp_path, requests=4)
    assert (tally.ended, dict(tally.errors)) == (4, {"HTTP 404": 4})


@pytest.mark.parametrize(
    ("answer", "noted"), [(NOT_FOUND, ["127.0.0.1 FAILED"]), (OK, [])], ids=["failed", "well"]
)
def test_where_nothing_succeeds_the_neighbour_table_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes, noted: list[str]
) -> None:
    async def state(_address: str) -> str:
        return "FAILED"

    monkeypatch.setattr("loadgen.load.engines.activity.neighbour_state", state)
    _, _, recording = recorded(Server(answer), tmp_path, requests=2)
    events = recording.table("events")
    assert events.loc[events["kind"] == "neighbour", "detail"].tolist() == noted


@pytest.mark.parametrize("engine", ["http", "sockets"])
def test_requests_under_way_are_known_until_they_have_ended(engine: str, tmp_path: Path) -> None:
    server, recording = Server(None), RecordingWriter(tmp_path, {})

    async def main() -> Burst:
        async with server.running():
            load_plan = plan(server.port, requests=6, concurrency=3, engine=engine)
            async with Burst(load_plan, recording, lambda _: None, print) as burst:
                assert await until(lambda: burst.under_way() == 3, 60)
            return burst

    assert asyncio.run(main()).under_way() == 0
    recording.close("completed")


def test_a_burst_that_is_cut_short_records_what_was_under_way(tmp_path: Path) -> None:
    burst, tally, recording = recorded(Server(answer=None), tmp_path, stop_early=True)
    assert not burst.ended.is_set()
    assert dict(tally.errors) == {"interrupted": 1}
    assert recording.table("requests")["error"].tolist() == ["interrupted"]
    assert recording.table("events")["kind"].tolist() == ["burst-start"]


def test_a_worker_that_dies_is_a_failed_run_that_names_it() -> None:
    async def main() -> None:
        server = Server(answer=None)
        async with server.running():
            workers = Workers(plan(server.port), lambda *_: None, print)
            await workers.start()
            await server.asked.wait()
            os.kill(workers.process_ids()[0], signal.SIGKILL)
            with pytest.raises(RunFailed, match="http engine crashed: its process ended"):
                await workers.sent()
            await workers.stop()

    asyncio.run(main())


def test_a_worker_without_a_parent_goes() -> None:
    """Its order to stop is the end of its standard input, which a killed parent leaves too."""
    server = Server(answer=None)

    async def main() -> None:
        async with server.running():
            workers = Workers(plan(server.port, close="never"), lambda *_: None, print)
            await workers.start()
            await server.asked.wait()
            await workers.stop()
            with pytest.raises(ProcessLookupError):
                os.kill(workers.process_ids()[0], 0)

    asyncio.run(main())
    assert server.closed_by_client == 1


def test_sources_are_a_set_of_addresses_and_ports() -> None:
    import numpy as np

    sources = SourcePorts()
    names, ports = np.array([0, 1, 0, -1, 0]), np.array([80, 65535, 0, 7, -1])
    sources.add(names, ports, ["192.0.2.1", "2001:db8::1"])
    sources.add(names, ports, ["192.0.2.1", "2001:db8::1"])
    assert len(sources) == 3
    assert ("192.0.2.1", 80) in sources
    assert ("192.0.2.1", 0) in sources
    assert ("2001:db8::1", 65535) in sources
    assert ("192.0.2.1", 81) not in sources
    assert ("192.0.2.9", 80) not in sources


def test_entries_of_a_bursts_sources_are_counted_all_at_once() -> None:
    import numpy as np

    sources = SourcePorts()
    sources.add(np.array([0, 0, 1]), np.array([0x9C40, 0x9C41, 0x9C40]), ["10.0.0.1", "fd00::1"])
    line = "TCP 0A00000{} 9C4{} 0A000009 0050 0A000008 0050 FIN_WAIT         29\n"
    v6 = ":".join(f"{group:04x}" for group in (0xFD00, 0, 0, 0, 0, 0, 0, 1))
    text = "".join(line.format(client, port) for client in (1, 2) for port in range(4))
    text += f"TCP {v6} 9C40 {v6} 0050 {v6} 0050 FIN_WAIT         29\n"
    assert sources.count(read_entries(text).rows) == 3
    assert sources.count(read_entries("").rows) == 0
