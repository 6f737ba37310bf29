"""An engine as an activity: its rows, its events, its end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from analyzer.recording import Recording, RecordingWriter
from loadgen.engines.activity import Burst
from loadgen.plan import ClosedModel, LoadPlan, Target
from tests.unit.loadgen.servers import NOT_FOUND, OK, Server

if TYPE_CHECKING:
    from pathlib import Path


def recorded(
    server: Server, path: Path, *, stop_early: bool = False
) -> tuple[Burst, list[bool], Recording]:
    recording = RecordingWriter(path, {})
    progress: list[bool] = []

    async def main() -> Burst:
        async with server.running():
            plan = LoadPlan(
                target=Target(vip="127.0.0.1", port=server.port), arrivals=ClosedModel(requests=4)
            )
            async with Burst(plan, recording, progress.append) as burst:
                assert not burst.ended.is_set()
                if stop_early:
                    await server.asked.wait()
                else:
                    await burst.done()
            return burst

    burst = asyncio.run(main())
    recording.close("completed")
    return burst, progress, Recording.open(path)


def test_a_burst_records_its_requests_and_when_it_began_and_ended(tmp_path: Path) -> None:
    server = Server(OK)
    burst, progress, recording = recorded(server, tmp_path)
    assert burst.ended.is_set()
    assert burst.sources == set(server.peers)
    assert progress == [True] * 4
    assert recording.table("requests")["id"].tolist() == [0, 1, 2, 3]
    events = recording.table("events")
    assert events["kind"].tolist() == ["burst-start", "burst-end"]
    assert events["detail"].tolist()[0] == "4 requests"


@pytest.mark.parametrize("answer", [NOT_FOUND])
def test_failures_show_in_the_progress(answer: bytes, tmp_path: Path) -> None:
    _, progress, _ = recorded(Server(answer), tmp_path)
    assert progress == [False] * 4


def test_a_burst_that_is_cut_short_records_what_was_under_way(tmp_path: Path) -> None:
    burst, progress, recording = recorded(Server(answer=None), tmp_path, stop_early=True)
    assert not burst.ended.is_set()
    assert progress == [False]
    assert recording.table("requests")["error"].tolist() == ["interrupted"]
    assert recording.table("events")["kind"].tolist() == ["burst-start"]
