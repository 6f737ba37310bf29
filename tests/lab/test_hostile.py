"""Servers and directors that mean ill, in a lab beside real ones: no run is harmed by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from analyzer.client.failure_texts import known_text
from analyzer.recording.directory import Recording
from tests.hostile.server import FAILURES, MODES, SECRET
from tests.lab.delays import measured_delays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.lab import Lab

BIN = Path(sys.executable).parent
HOSTILE = Path(__file__).parents[1] / "hostile"
VIP, FIRST_PORT = "192.168.10.2", 9000
IN_TURN = FIRST_PORT + len(MODES)
TIMEOUT_S = 1.0
LATEST_S = len(MODES) * TIMEOUT_S + 10
"""A request of each mode, one after the other, each within its timeout; the rest is for a machine
at work."""

MOST_MEMORY_KB = 500_000
"""Of loadgen with its page, which takes some 200 MB; the servers send up to 8 MB for a request."""

WATCHED_S = 8
APART_S = 0.5
"""Between polls of a good director, which are a quarter of a second apart."""

BAD_DIRECTORS = ("garbage", "slow", "stderr", "bigint", "escape", "huge")


@dataclass(frozen=True)
class Ended:
    """A command that has ended, and what it left."""

    code: int
    output: str
    memory_kb: int
    directory: Path

    def quoted(self) -> list[str]:
        """Files of the run, and its output, in which something of the wire stands."""
        files = [path for path in self.directory.rglob("*") if path.is_file()]
        held = [path.name for path in files if SECRET.encode() in path.read_bytes()]
        recording = Recording.open(self.directory)
        texts = " ".join(map(str, recording.table("requests")["error"]))
        texts += " ".join(map(str, recording.table("events")["detail"]))
        named = {"output": self.output, "tables": texts}
        return held + [name for name, text in named.items() if SECRET in text]


def carried_out(directory: Path, *words: str) -> Ended:
    """A command of loadgen, to its end."""
    log = directory.with_suffix(".log")
    with log.open("w") as output:
        started = subprocess.Popen(
            [str(BIN / "loadgen"), *words, "-o", str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
    return Ended(started.returncode, log.read_text(), usage.ru_maxrss, directory)


@pytest.fixture(scope="module")
def hostile_lab(lab: Lab) -> Iterator[Lab]:
    """The lab, with services of both directors for a hostile server on srv01."""
    real = lab.servers["srv01"].address
    ports = (IN_TURN, FIRST_PORT + list(MODES).index("redirects"))
    rules = "".join(
        f"-A -t {VIP}:{port} -s rr\n-a -t {VIP}:{port} -r {real}:{port} -g\n" for port in ports
    )
    program = [sys.executable, str(HOSTILE / "server.py"), str(FIRST_PORT), "0.0.0.0"]
    command = lab.servers["srv01"].command("env", "HOSTILE=in a lab", *program)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        for director in lab.directors.values():
            director.run("ipvsadm", "-R", text=rules)
        yield lab
        for director in lab.directors.values():
            for port in ports:
                director.run("ipvsadm", "-D", "-t", f"{VIP}:{port}")
        server.kill()


def burst(lab: Lab, directory: Path, port: int, requests: int, *flags: str) -> Ended:
    words = ["burst", "--vip", VIP, "--port", str(port), "--lab", lab.name, "-X", "GET", "-c", "1"]
    words += ["-n", str(requests), "--timeout", f"{TIMEOUT_S:g}s", "--observe", "0"]
    return carried_out(directory, *words, "--no-capture", *flags)


@pytest.mark.parametrize("engine", ["http", "sockets"])
def test_a_burst_at_hostile_servers_ends_on_time_and_quotes_nothing(
    hostile_lab: Lab, tmp_path: Path, engine: str
) -> None:
    ended = burst(hostile_lab, tmp_path / "run", IN_TURN, len(MODES), "--engine", engine)
    run: Any = json.loads((ended.directory / "run.json").read_text())
    requests = Recording.open(ended.directory).table("requests")
    assert ended.code == 0, ended.output
    assert run["ended"] == "completed"
    assert run["ended_at_ns"] - run["started_at_ns"] < LATEST_S * 1e9
    rows = requests.sort_values("id")
    failures = [None if pd.isna(kind) else kind for kind in rows["failure"]]
    assert len(failures) == len(MODES)
    for mode, failure in zip(MODES, failures, strict=True):
        assert failure in FAILURES[mode], (mode, failure)
    assert all(known_text(error) == error for error in rows["error"].dropna())
    assert_clean(ended)


def test_a_burst_that_is_redirected_round_and_round_has_failed(
    hostile_lab: Lab, tmp_path: Path
) -> None:
    port = FIRST_PORT + list(MODES).index("redirects")
    ended = burst(hostile_lab, tmp_path / "run", port, 2, "-L", "--engine", "http")
    assert ended.code == 1, ended.output
    requests = Recording.open(ended.directory).table("requests")
    assert set(requests["error"].dropna()) == {"too many redirects"}
    assert_clean(ended)


def assert_clean(ended: Ended) -> None:
    """Nothing of the wire in any file or line, no sequence for a terminal, no log's command."""
    assert ended.quoted() == []
    assert not {"\x1b", "\x07"} & set(ended.output)
    assert "::stop-commands::" not in ended.output
    assert ended.memory_kb < MOST_MEMORY_KB


@pytest.mark.alone
def test_a_real_directors_polls_go_on_beside_hostile_ones(lab: Lab, tmp_path: Path) -> None:
    """The hostile ones are other machines: they give way, where there are few cores."""
    programs = [
        f"exec:nice -n 19 {sys.executable} {HOSTILE / 'director.py'} {mode}"
        for mode in BAD_DIRECTORS
    ]
    directors = [word for link in ("bal01", *programs) for word in ("--director", link)]
    words = ["collect", "--lab", lab.name, *directors, "-z", f"{WATCHED_S}s"]
    with measured_delays(lab, "bal01") as delays:
        ended = carried_out(tmp_path / "run", *words)
    assert ended.code == 0, ended.output
    assert "\x1b" not in ended.output
    recording = Recording.open(tmp_path / "run")
    polls, services = (
        rows[rows["director"] == "bal01"]
        for rows in (recording.table("polls"), recording.table("services"))
    )
    apart_s = [(later - before).total_seconds() for before, later in pairwise(polls["asked"])]
    assert sum(apart_s) > WATCHED_S - 1
    assert apart_s[0] <= delays.allowed_s(2 * APART_S)  # all begin at once, on two cores
    assert max(apart_s[1:]) <= delays.allowed_s(APART_S)
    assert set(services.groupby("at").size()) == {len(services) // len(polls)}
    assert set(services["at"]) == set(polls["at"])
    assert ended.memory_kb < 2 * MOST_MEMORY_KB
