"""Sockets are counted: rows about once a second, gaps recorded, never in the way of a run."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.director.links.link import parse_link
from loadgen.director.links.shell import LinkLost
from loadgen.session.run import run
from loadgen.sockets import watch as sockets
from loadgen.sockets.sock_diag import SocketsRefused
from loadgen.sockets.watch import SocketWatch, socket_watches
from loadgen.target import Target
from tests.unit.waiting import LIMIT_S, turns, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


class ScriptedHost:
    """A host that gives these answers in turn; the last one again and again."""

    def __init__(self, *answers: Mapping[str, int] | Exception) -> None:
        self._answers = list(answers)
        self.asked = 0
        self.closed = False

    async def count(self) -> tuple[int, Mapping[str, int]]:
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return self.asked, answer

    async def close(self) -> None:
        self.closed = True


def hosts_of(writer: RecordingWriter, table: str) -> set[str]:
    """The hosts that rows of a table are of, kept up while they are added."""
    hosts: set[str] = set()
    writer.follow(table, lambda row: hosts.add(row["host"]))
    return hosts


class Until:
    """An activity that holds a run up until a condition holds."""

    def __init__(self, holds: Callable[[], object]) -> None:
        self._holds = holds

    async def __aenter__(self) -> object:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def done(self) -> None:
        assert await until(self._holds)
        await turns()  # in which a host might be asked once too often


def record(
    path: Path,
    watches: Sequence[SocketWatch],
    writer: RecordingWriter,
    enough: Callable[[], object],
) -> Recording:
    asyncio.run(run([*watches, Until(enough)], writer))
    return Recording.open(path)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host has all the time that a busy machine takes to answer."""
    monkeypatch.setattr(sockets, "_ANSWER_S", LIMIT_S)
    monkeypatch.setattr(sockets, "_LAST_COUNT_S", LIMIT_S)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "INTERVAL_S", 0)
    monkeypatch.setattr(sockets, "COST", 0)
    monkeypatch.setattr(sockets, "_AGAIN_AFTER_S", 0)


def watched(path: Path, host: ScriptedHost, counts: int) -> Recording:
    writer = RecordingWriter(path, {})
    recorded = record(path, [SocketWatch("h", host, writer)], writer, lambda: host.asked >= counts)
    assert host.closed
    return recorded


@pytest.mark.usefixtures("quick")
def test_a_state_that_was_seen_is_recorded_until_the_end(tmp_path: Path) -> None:
    recorded = watched(tmp_path / "r", ScriptedHost({"FIN_WAIT2": 3}, {"TIME_WAIT": 3}, {}), 4)
    rows = recorded.table("sockets")
    counts = {state: list(group["count"]) for state, group in rows.groupby("state")}
    assert counts["FIN_WAIT2"][:3] == [3, 0, 0]
    assert counts["TIME_WAIT"][:3] == [0, 3, 0]
    assert set(counts["ESTABLISHED"]) == {0}


def test_the_last_count_is_taken_at_the_end_however_short_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "INTERVAL_S", 2 * LIMIT_S)
    recorded = watched(tmp_path / "r", ScriptedHost({"TIME_WAIT": 1}, {"TIME_WAIT": 2}), 1)
    rows = recorded.table("sockets")
    assert list(rows[rows["state"] == "TIME_WAIT"]["count"]) == [1, 2]


@pytest.mark.usefixtures("quick")
def test_a_host_that_is_lost_is_reported_once_and_asked_again(tmp_path: Path) -> None:
    lost = LinkLost("the link was closed")
    recorded = watched(tmp_path / "r", ScriptedHost(lost, lost, {"TIME_WAIT": 1}), 4)
    events = recorded.table("events")
    assert list(events["kind"]) == ["sockets-lost"]
    assert (recorded.table("sockets")["count"] == 1).any()


@pytest.mark.usefixtures("quick")
def test_a_host_that_cannot_count_is_reported_once_and_left_alone(tmp_path: Path) -> None:
    host = ScriptedHost(SocketsRefused("no awk there"))
    recorded = watched(tmp_path / "r", host, 1)
    assert host.asked == 1
    assert list(recorded.table("events")["kind"]) == ["sockets-unreadable"]
    assert recorded.table("sockets").empty


def test_client_and_server_see_the_two_ends_of_a_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), server.accept()[0]:
            writer = RecordingWriter(tmp_path / "r", {})
            service = Target(vip="127.0.0.1", port=port)
            watches = socket_watches([service], [parse_link("local")], {port}, writer)
            counted = hosts_of(writer, "sockets")
            recorded = record(tmp_path / "r", watches, writer, lambda: len(counted) == 2)
    rows = recorded.table("sockets")
    open_ones = rows[rows["state"] == "ESTABLISHED"].groupby("host")["count"].max()
    # the server is this very machine: it has both ends at hand, and counts its own port's alone
    assert dict(open_ones) == {"client": 1, "local": 1}


def test_a_server_without_proc_is_reported(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "r", {})
    link = parse_link("exec:env PATH=/nowhere")
    watches = socket_watches([Target(vip="127.0.0.1", port=9)], [link], {9}, writer)
    failed = hosts_of(writer, "events")
    recorded = record(tmp_path / "r", watches, writer, lambda: failed)
    events = recorded.table("events")
    assert set(events["kind"]) <= {"sockets-lost", "sockets-unreadable"}
    assert len(events) == 1
