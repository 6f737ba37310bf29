"""The program's main job on real kernels: a burst, its decay, and what the report says of both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from analyzer.analysis import analyse
from analyzer.ipvs.states import Timeouts
from analyzer.observed.entries import ns
from analyzer.recording.directory import Recording
from analyzer.wire.connections import connections
from analyzer.wire.packets import read_packets
from analyzer.wire.segments import VirtualEnd, dealt_out
from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab
from loadgen.lab.topology.model import exercise
from tests.lab.delays import Delays, measured_delays
from tests.lab.expiries import assert_expiries_predicted
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

BIN = Path(sys.executable).parent
VIP = "192.168.10.2"
RUN_LIMIT_S = 240.0


@dataclass(frozen=True)
class Ran:
    """A finished ``loadgen burst``: its exit code, what it printed, and its recording."""

    code: int
    out: str
    err: str
    directory: Path
    delays: Delays = field(default_factory=Delays)

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def recording(self) -> Recording:
        return Recording.open(self.directory)


def start_burst(lab: Lab, directory: Path, *flags: str) -> subprocess.Popen[str]:
    command = [BIN / "loadgen", "burst", "--vip", VIP, "-n", "50", "--json", "--lab", lab.name]
    return subprocess.Popen(
        [*map(str, command), "-o", str(directory), *flags],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(started: subprocess.Popen[str], directory: Path) -> Ran:
    out, err = started.communicate(timeout=RUN_LIMIT_S)
    return Ran(started.returncode, out, err, directory)


def burst(lab: Lab, directory: Path, *flags: str) -> Ran:
    with measured_delays(lab, "bal01") as delays:
        ran = finish(start_burst(lab, directory, *flags), directory)
    return replace(ran, delays=delays)


def lab_with(name: str, tcpfin_s: int) -> Lab:
    timeouts = Timeouts(tcp_s=900, tcpfin_s=tcpfin_s, udp_s=300)
    try:
        return Lab(exercise(timeouts), name=name).up()
    except LoadgenError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no lab: {error}")


@pytest.fixture(scope="module")
def default_run(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[str]]:
    """A burst under the kernel's own tcpfin of 120 s, decaying while the other tests run."""
    directory = tmp_path_factory.mktemp("default") / "run"
    with start_burst(lab, directory) as started:
        yield started
        started.kill()


@pytest.fixture(scope="module")
def demo_lab(lab_prefix: str) -> Iterator[Lab]:
    """The demo's lab: tcpfin 20."""
    with lab_with(f"{lab_prefix}-demo", 20) as made:
        yield made


@pytest.fixture(scope="module")
def quick_lab(lab_prefix: str) -> Iterator[Lab]:
    """A lab whose entries expire in 5 s."""
    with lab_with(f"{lab_prefix}-quick", 5) as made:
        yield made


@pytest.fixture(scope="module")
def demo(
    default_run: subprocess.Popen[str], demo_lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> Ran:
    """The demo's burst, whole."""
    assert default_run.poll() is None
    return burst(demo_lab, tmp_path_factory.mktemp("demo") / "run")


# What the demo must show


def test_every_request_of_the_burst_succeeds(demo: Ran) -> None:
    assert demo.code == 0, demo.err
    requests = demo.json["requests"]
    assert (requests["sent"], requests["succeeded"], requests["failed"]) == (50, 50, 0)


def test_the_master_holds_25_and_25_and_the_backup_none(demo: Ran) -> None:
    peaks = {row["director"]: (row["active"], row["inactive"]) for row in demo.json["peaks"]}
    assert peaks["bal01"][1] == 50
    assert peaks["bal02"] == (0, 0)
    tables = {table.director: table for table in analyse(demo.recording).timeline.peaks}
    assert [row.inactive for row in tables["bal01"].rows] == [25, 25]


def test_the_entries_wait_in_fin_wait_and_measure_the_configured_tcpfin(demo: Ran) -> None:
    (row,) = demo.json["lifetimes"]
    assert (row["director"], row["state"], row["counted"]) == ("bal01", "FIN_WAIT", "inactive")
    assert (row["timeout_name"], row["timeout_s"]) == ("tcpfin", 20)
    assert (row["n"], row["n_expired"]) == (50, 50)
    assert row["granule_s"] == pytest.approx(0.64)
    look_s = row["lifetime_s"]["uncertainty"]
    assert 20 - look_s <= row["lifetime_s"]["min"]
    assert row["lifetime_s"]["max"] <= 20.64 + look_s
    measured = row["timeout_measured_s"]
    assert abs(measured["value"] - 20) <= measured["uncertainty"] <= demo.delays.allowed_s(0.64)


def test_prediction_and_observation_agree_entry_by_entry(demo: Ran) -> None:
    agreement = {row["director"]: row for row in demo.json["agreement"]}
    master = agreement["bal01"]
    assert master["entries_observed"] == master["entries_predicted"] == 50
    assert master["state_matches"] == master["state_samples"] > 50
    assert set(master["residuals"]) <= {"poll", "clock"}
    assert_expiries_predicted(demo.directory, "bal01", demo.delays, n=50, limit_s=0.2)
    assert master["disagreement_polls"] <= 2
    assert agreement["bal02"]["entries_predicted"] == 0


def test_the_decay_is_watched_down_to_nothing(demo: Ran) -> None:
    services = demo.recording.table("services")
    last = services[services["at"] == services[services["director"] == "bal01"]["at"].max()]
    assert list(last["inactive"]) == [0, 0]


def test_the_client_closes_every_connection_first(demo: Ran) -> None:
    packets = read_packets(*demo.recording.captures().values())
    rows = connections(dealt_out(packets, [VirtualEnd("TCP", VIP, 80)]).segments())
    assert list(rows["closer"].unique()) == ["client"]
    assert list(rows["holds_time_wait"].unique()) == ["client"]
    assert len(rows) == 50
    assert demo.recording.manifest.raw["capture"]["dropped"] == 0


def test_each_connection_of_the_wire_is_one_request_of_the_client(demo: Ran) -> None:
    requests = demo.recording.table("requests")
    assert len(set(requests["source_port"])) == 50
    order = ["scheduled", "started", "connected", "first_byte", "ended"]
    for before, after in pairwise(order):
        assert (ns(requests[after]) >= ns(requests[before])).all()


def test_the_verdict_names_tcpfin_and_heads_the_page(demo: Ran) -> None:
    verdict = demo.json["verdict"]
    assert "tcpfin governs the decay" in verdict
    assert "in agreement with the 20 s configured" in verdict
    page = (demo.directory / "report.html").read_text()
    assert "tcpfin governs the decay" in page
    ids = {row["id"] for row in demo.json["findings"]}
    late = {"expires-late"}  # said only if the wheel's phase made them late enough
    assert ids | late == {"tcpfin-governs", "port-budget"} | late


def test_nothing_of_the_demo_is_left_unmeasured(demo: Ran) -> None:
    assert demo.json["not_measured"] == []


# What may go wrong


def test_ctrl_c_during_the_decay_ends_the_waiting_not_the_report(
    demo_lab: Lab, demo: Ran, tmp_path: Path
) -> None:
    assert demo.code == 0
    started = start_burst(demo_lab, tmp_path / "run")
    wait_for_decay(started)
    started.send_signal(signal.SIGINT)
    ran = finish(started, tmp_path / "run")
    assert ran.code == 130
    assert ran.json["requests"]["succeeded"] == 50
    assert (tmp_path / "run" / "report.html").exists()
    assert ran.recording.manifest.raw["ended"] == "interrupted"


def test_a_killed_run_can_still_be_reported(quick_lab: Lab, tmp_path: Path) -> None:
    started = start_burst(quick_lab, tmp_path / "run")
    wait_for_decay(started)
    assert wait_until(lambda: len(Recording.open(tmp_path / "run").table("requests")) == 50)
    started.kill()
    started.communicate()
    report = subprocess.run(
        [BIN / "analyzer", "report", tmp_path / "run", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    document = json.loads(report.stdout)
    assert document["requests"]["succeeded"] == 50
    assert "cut off" in document["not_measured"][0]["why"]
    assert (tmp_path / "run" / "report.html").exists()


def test_a_director_lost_midway_is_an_event_and_the_run_goes_on(
    lab_prefix: str, tmp_path: Path
) -> None:
    with lab_with(f"{lab_prefix}-lost", 5) as lab:
        started = start_burst(lab, tmp_path / "run")
        wait_for_decay(started)
        words = ["lab", "fault", "--name", lab.name, "bal02", "crash"]
        subprocess.run([BIN / "loadgen", *words], check=True, capture_output=True)
        ran = finish(started, tmp_path / "run")
    assert ran.code == 0, ran.err
    events = ran.recording.table("events")
    assert list(events[events["kind"] == "crash"]["host"]) == ["bal02"]
    assert list(events[events["kind"] == "link-lost"]["host"]) == ["bal02"]
    lost_at = events[events["kind"] == "link-lost"]["at"].iloc[0]
    polls = ran.recording.table("polls")
    assert polls[polls["director"] == "bal01"]["at"].max() > lost_at
    assert "director-lost" in [row["id"] for row in ran.json["findings"]]


def test_a_director_that_cannot_be_reached_is_one_line_before_anything_is_sent(
    quick_lab: Lab, tmp_path: Path
) -> None:
    ran = burst(quick_lab, tmp_path / "run", "--director", "ssh://root@192.168.10.99")
    assert ran.code == 2
    assert "192.168.10.99" in ran.err.splitlines()[-1]
    assert "nothing was sent" in ran.err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_without_the_privilege_to_capture_the_run_goes_on_and_says_so(
    quick_lab: Lab, tmp_path: Path
) -> None:
    command = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", str(BIN / "loadgen")]
    flags = ["burst", "--vip", VIP, "--json", "--lab", quick_lab.name, "-o", str(tmp_path / "run")]
    done = subprocess.run([*command, *flags], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "no capture on eth1: needs root or CAP_NET_RAW" in done.stderr
    document = json.loads(done.stdout)
    assert any("CAP_NET_RAW" in row["why"] for row in document["not_measured"])
    assert document["lifetimes"][0]["n_expired"] == 50  # by the requests' ends instead


def test_a_configured_tcpfin_that_is_not_what_is_measured_is_reported(
    quick_lab: Lab, tmp_path: Path
) -> None:
    ran = burst(quick_lab, tmp_path / "run", "--timeouts", "900,9,300")
    finding = {row["id"]: row for row in ran.json["findings"]}["tcpfin-governs"]
    assert finding["severity"] == "warning"
    assert "not in agreement with the 9 s configured" in ran.json["verdict"]


def test_the_kernels_own_tcpfin_gives_the_same_answers(
    default_run: subprocess.Popen[str], demo: Ran
) -> None:
    assert demo.code == 0
    ran = finish(default_run, demo.directory)
    assert ran.code == 0, ran.err
    (row,) = ran.json["lifetimes"]
    assert (row["state"], row["timeout_s"], row["n_expired"]) == ("FIN_WAIT", 120, 50)
    assert row["granule_s"] == pytest.approx(5.12)
    measured = row["timeout_measured_s"]
    assert abs(measured["value"] - 120) <= measured["uncertainty"] <= 5.12
    assert ran.json["agreement"][0]["disagreement_polls"] <= 2


def wait_for_decay(started: subprocess.Popen[str]) -> None:
    """Until the program says that it watches the entries decay."""
    assert started.stderr is not None
    for line in started.stderr:
        if "entries decay" in line:
            return
    pytest.fail("the burst ended before its decay was watched")
