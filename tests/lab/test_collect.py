"""Directors of a lab watched without load: what is held, when a drained real server is empty."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.timers import granule_s
from analyzer.recording.directory import Recording
from loadgen.errors import LoadgenError
from loadgen.lab.faults.changes import set_weight
from loadgen.lab.lab import Lab
from loadgen.lab.topology.model import exercise
from tests.lab.delays import Delays, measured_delays

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
TCPFIN_S = 10
REQUESTS = 20
WATCH_S = 24
METRICS_PORT = 9190
POLL_S = 0.25


@dataclass(frozen=True)
class Watch:
    """A finished ``loadgen collect``, and what was scraped of it meanwhile."""

    code: int
    document: Any
    err: str
    scraped: str
    recording: Recording
    delays: Delays


@pytest.fixture(scope="module")
def quick(lab_prefix: str) -> Iterator[Lab]:
    """A lab whose entries expire in 10 s."""
    timeouts = Timeouts(tcp_s=900, tcpfin_s=TCPFIN_S, udp_s=300)
    try:
        made = Lab(exercise(timeouts), name=f"{lab_prefix}-coll").up()
    except LoadgenError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no lab: {error}")
    with made:
        yield made


@pytest.fixture(scope="module")
def watch(quick: Lab, tmp_path_factory: pytest.TempPathFactory) -> Watch:
    """Traffic, then weight 0 for one real server, watched until it is empty."""
    directory = tmp_path_factory.mktemp("watch") / "run"
    flags = ["-z", str(WATCH_S), "--openmetrics", str(METRICS_PORT), "-o", str(directory), "--json"]
    with (
        measured_delays(quick, "bal01") as delays,
        subprocess.Popen(
            [BIN / "loadgen", "collect", "--lab", quick.name, *flags],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        err = "".join(iter_until(process.stderr, "entries by state"))
        for _ in range(REQUESTS):
            quick.client.run("curl", "-sI", f"http://{VIP}/")
        set_weight(quick, "srv01", 0)
        time.sleep(3)  # a view is a second old at most; the totals are read less often
        scraped = scrape()  # its port is ours, though the watch runs in the client
        deadline_s = time.monotonic() + WATCH_S / 2
        while total_of(scraped) < REQUESTS and time.monotonic() < deadline_s:
            time.sleep(0.5)
            scraped = scrape()
        out, rest = process.communicate(timeout=120)
    recording = Recording.open(directory)
    return Watch(process.returncode, json.loads(out), err + rest, scraped, recording, delays)


def iter_until(lines: Any, words: str) -> Iterator[str]:
    for line in lines:
        yield line
        if words in line:
            return


def scrape() -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{METRICS_PORT}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def total_of(scraped: str) -> float:
    """The connections that bal01 has counted."""
    name = 'node_ipvs_connections_total{director="bal01"}'
    found = [line for line in scraped.splitlines() if line.startswith(name)]
    return float(found[0].split()[-1]) if found else 0.0


def drained(watch: Watch) -> Any:
    (row,) = [
        row
        for row in watch.document["drains"]
        if row["director"] == "bal01" and row["real_server"] == "192.168.10.21:80"
    ]
    return row


def test_the_directors_are_recorded_without_a_request_of_ours(watch: Watch) -> None:
    assert watch.code == 0, watch.err
    assert watch.document["requests"]["sent"] == 0
    peaks = {row["director"]: row["inactive"] for row in watch.document["peaks"]}
    assert peaks["bal01"] == REQUESTS
    assert "InActConn peaked at 20 on bal01" in watch.document["verdict"]


def test_the_predicted_instant_is_the_one_that_was_seen(watch: Watch) -> None:
    row = drained(watch)
    assert row["entries"] == 0
    predicted, seen = (datetime.fromisoformat(row[key]) for key in ("gone_by", "gone"))
    off_s = (seen - predicted).total_seconds()
    polled_s = watch.delays.allowed_s(POLL_S)  # a read takes its time
    assert row["uncertainty_s"] <= granule_s(TCPFIN_S, 100) + polled_s
    assert -row["uncertainty_s"] - 0.05 <= off_s <= row["uncertainty_s"] + POLL_S + polled_s


def test_the_live_line_promised_the_same_instant(watch: Watch) -> None:
    lines = [line for line in watch.err.splitlines() if "bal01" in line and "empty " in line]
    promised = next(line for line in lines if "±" in line)
    assert "192.168.10.21:80" in promised
    words = promised.split("empty ")[1].split()
    promised_at, wide_s = words[0], float(words[2])
    seen = datetime.fromisoformat(drained(watch)["gone"]).astimezone()
    at = datetime.combine(
        seen.date(), datetime.strptime(promised_at, "%H:%M:%S").time(), seen.tzinfo
    )
    assert abs((seen - at).total_seconds()) <= wide_s + watch.delays.allowed_s(
        1 + 2 * POLL_S
    )  # it is printed in seconds
    assert lines[-1].endswith("empty now")


def test_the_metrics_showed_what_was_held_while_it_was_held(watch: Watch) -> None:
    mine = [
        line
        for line in watch.scraped.splitlines()
        if 'director="bal01"' in line and 'remote_address="192.168.10.21"' in line
    ]
    values = {line.split("{")[0]: float(line.rsplit(" ", 1)[1]) for line in mine}
    assert values["node_ipvs_backend_connections_inactive"] == REQUESTS / 2
    assert values["node_ipvs_backend_connections_weight"] == 0
    assert values["loadgen_real_server_entries"] == REQUESTS / 2
    assert "loadgen_real_server_empty_timestamp_seconds" in values
    assert 'loadgen_director_up{director="bal02"} 1.0' in watch.scraped
    assert total_of(watch.scraped) >= REQUESTS


def test_the_clients_own_sockets_stand_beside(watch: Watch) -> None:
    waits = {(row["host"], row["state"]): row for row in watch.document["sockets"]}
    assert waits["client", "TIME_WAIT"]["peak"] >= REQUESTS
    assert {"client", "srv01", "srv02"} == set(watch.recording.table("sockets")["host"])
