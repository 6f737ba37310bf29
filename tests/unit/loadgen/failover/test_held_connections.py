"""Connections held open against a real nginx, and against a server that resets them."""

from __future__ import annotations

import asyncio
import shutil
import socket
import struct
import subprocess
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.failover import held_connections as held
from loadgen.failover.held_connections import HeldConnections, Paths
from loadgen.lab.hosts import nginx
from loadgen.lab.topology.model import exercise
from loadgen.load.plan import ClosedModel, LoadPlan
from loadgen.target import Target
from tests.unit.loadgen.servers import own_address
from tests.unit.waiting import LIMIT_S, until, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import pandas as pd

LOOPBACK = own_address()
PORT = 8080


def listens() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, PORT)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[None]:
    """The lab's own nginx on loopback."""
    if shutil.which("nginx", path="/usr/sbin:/usr/bin") is None:
        pytest.skip("no nginx")
    topology = exercise()
    text = nginx.config(topology, topology.host("srv01"), in_guest=True)
    (tmp_path / "nginx.conf").write_text(
        text.replace(f"listen {topology.port} ", f"listen {LOOPBACK}:{PORT} ")
    )
    argv = ["/usr/sbin/nginx", "-p", f"{tmp_path}/", "-c", "nginx.conf", "-e", "error.log"]
    with subprocess.Popen(argv) as process:
        assert wait_until(listens)
        yield
        process.terminate()


def hold(path: Path, pieces: int) -> tuple[pd.DataFrame, float]:
    """What happened to connections until each had so many words or pieces; how long that took."""
    recording = RecordingWriter(path, {})
    plan = LoadPlan(target=Target(vip=LOOPBACK, port=PORT), arrivals=ClosedModel(requests=1))
    activity = HeldConnections(plan, Paths(dialogue="/", download=nginx.DOWNLOAD_PATH), recording)
    opened: Counter[str] = Counter()
    downloaded: Counter[int] = Counter()

    def note(row: Mapping[str, Any]) -> None:
        opened[row["kind"]] += row["change"] == "opened"
        downloaded[row["connection"]] += row["kind"] == "download" and row["change"] == "progress"

    def enough() -> bool:
        had = [count for count in downloaded.values() if count >= pieces]
        return set(opened.values()) == {held.EACH} and len(had) == held.EACH

    async def live() -> float:
        began_s = time.monotonic()
        async with activity:
            assert await until(enough)
            return time.monotonic() - began_s

    recording.follow("in_flight", note)
    took_s = asyncio.run(live())
    recording.close("completed")
    return Recording.open(path).table("in_flight"), took_s


@pytest.mark.usefixtures("server")
def test_ten_of_each_kind_are_open_and_talk(tmp_path: Path) -> None:
    rows, took_s = hold(tmp_path / "run", pieces=8)
    by_kind = rows.groupby("kind")["connection"].nunique()
    assert dict(by_kind) == {"dialogue": 10, "download": 10, "idle": 10}
    assert set(rows["change"]) == {"opened", "progress"}
    pieces = rows[(rows["kind"] == "download") & (rows["change"] == "progress")]
    each = pieces.groupby("connection")["at"].count()
    assert each.between(8, 8 + 10 * took_s).all()  # a kilobyte each tenth of a second


def test_a_reset_is_recorded_and_the_connection_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "AGAIN_S", 0.05)
    monkeypatch.setattr(held, "EACH", 1)
    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(0.05)
        port = listener.getsockname()[1]
        resets: Counter[str] = Counter()

        def reset_all() -> None:
            end_s = time.monotonic() + LIMIT_S
            while min(resets["dialogue"], resets["idle"]) < 2 and time.monotonic() < end_s:
                try:
                    client, _ = listener.accept()
                except TimeoutError:
                    continue
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.recv(100)
                client.close()

        recording = RecordingWriter(tmp_path / "run", {})
        recording.follow(
            "in_flight", lambda row: resets.update([row["kind"]] * (row["change"] == "reset"))
        )
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
