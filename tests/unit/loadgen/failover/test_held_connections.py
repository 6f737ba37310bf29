"""Connections held open against a real nginx, and against a server that resets them."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.failover import held_connections as held
from loadgen.failover.held_connections import HeldConnections, Paths
from loadgen.lab.hosts import nginx
from loadgen.lab.topology.model import exercise
from loadgen.load.plan import ClosedModel, LoadPlan
from loadgen.target import Target
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[int]:
    """The lab's own nginx on loopback."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("no nginx")
    topology, port = exercise(), free_port()
    text = nginx.config(topology, topology.host("srv01"), in_guest=True)
    (tmp_path / "nginx.conf").write_text(
        text.replace(f"listen {topology.port} ", f"listen {LOOPBACK}:{port} ")
    )
    argv = ["/usr/sbin/nginx", "-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(argv) as process:
        assert wait_until(lambda: listens(port))
        yield port
        process.terminate()


def hold(path: Path, port: int, seconds: float) -> pd.DataFrame:
    recording = RecordingWriter(path, {})
    plan = LoadPlan(target=Target(vip=LOOPBACK, port=port), arrivals=ClosedModel(requests=1))
    activity = HeldConnections(plan, Paths(dialogue="/", download=nginx.DOWNLOAD_PATH), recording)

    async def live() -> None:
        async with activity:
            await asyncio.sleep(seconds)  # what is measured is bytes a second

    asyncio.run(live())
    recording.close("completed")
    return Recording.open(path).table("in_flight")


def test_ten_of_each_kind_are_open_and_talk(server: int, tmp_path: Path) -> None:
    rows = hold(tmp_path / "run", server, 2.2)
    by_kind = rows.groupby("kind")["connection"].nunique()
    assert dict(by_kind) == {"dialogue": 10, "download": 10, "idle": 10}
    assert set(rows["change"]) == {"opened", "progress"}
    pieces = rows[(rows["kind"] == "download") & (rows["change"] == "progress")]
    each = pieces.groupby("connection")["at"].count()
    assert each.between(8, 30).all()  # a kilobyte each tenth of a second


def test_a_reset_is_recorded_and_the_connection_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "AGAIN_S", 0.05)
    monkeypatch.setattr(held, "EACH", 1)
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(0.05)
        port = listener.getsockname()[1]
        stop = time.monotonic() + 1.0

        def reset_all() -> None:
            while time.monotonic() < stop:
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.recv(100)
                client.close()

        recording = RecordingWriter(tmp_path / "run", {})
        plan = LoadPlan(target=Target(vip=LOOPBACK, port=port), arrivals=ClosedModel(requests=1))

        async def live() -> None:
            async with HeldConnections(plan, Paths(dialogue="/", download=None), recording):
                await asyncio.to_thread(reset_all)

        asyncio.run(live())
        recording.close("completed")
    rows = Recording.open(tmp_path / "run").table("in_flight")
    ended = rows[rows["change"] == "reset"]
    assert len(ended) >= 4
    assert set(ended["kind"]) == {"dialogue", "idle"}
    assert rows["connection"].nunique() >= 4


def test_a_service_without_a_download_says_what_is_not_measured(tmp_path: Path) -> None:
    recording = RecordingWriter(tmp_path, {})
    plan = LoadPlan(target=Target(vip=LOOPBACK, port=80), arrivals=ClosedModel(requests=1))
    (row,) = HeldConnections(plan, Paths(dialogue="/", download=None), recording).not_measured()
    assert row["what"] == "downloads in flight"
