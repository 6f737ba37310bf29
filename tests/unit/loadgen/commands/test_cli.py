"""Both scripts as an operator runs them: exit codes, and what goes to which output."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.loadgen.commands.in_process import run_in_process
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from tests.unit.loadgen.commands.web import Site

SCRIPTS = Path(sys.executable).parent
DATA = Path(__file__).resolve().parents[3] / "data"
UNREACHABLE = "exec:sh -c 'echo no route to it >&2; exit 255'"


pytestmark = pytest.mark.usefixtures("alone")


Runner = Callable[..., subprocess.CompletedProcess[str]]


def run_as_script(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, as the entry point starts it; one test of each command."""
    return subprocess.run(
        [SCRIPTS / script, *words], capture_output=True, text=True, check=False, timeout=60
    )


def burst(
    site: Site, *words: str, run: Runner = run_in_process
) -> subprocess.CompletedProcess[str]:
    return run("loadgen", "burst", "--vip", "127.0.0.1", "--port", str(site.port), *words)


def runs() -> list[Path]:
    return list(Path("runs").glob("*")) if Path("runs").exists() else []


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


# A plain load test -------------------------------------------------------------------------------


def test_a_burst_without_a_director_is_a_plain_load_test(site: Site) -> None:
    shown = burst(site, "-n", "7", "--no-capture", run=run_as_script)
    assert shown.returncode == 0, shown.stderr
    assert site.asked == 7
    (directory,) = runs()
    assert shown.stdout.rstrip().endswith(str(directory))  # the last line of the output
    assert {"run.json", "analysis.json", "report.html", "requests"} <= names_in(directory)
    assert "7 of 7 requests succeeded" in " ".join(shown.stdout.split())


def test_what_a_director_would_have_shown_is_listed_as_not_measured(site: Site) -> None:
    words = ["-n", "3", "--no-capture", "--json", "-o", "here"]
    shown = burst(site, *words)
    assert shown.returncode == 0, shown.stderr
    document: dict[str, Any] = json.loads(shown.stdout)  # nothing else is on standard output
    assert document["schema_version"] == 1
    assert document["run"] == "here"
    assert document["requests"]["succeeded"] == 3
    assert document["peaks"] == []
    assert any("no director" in gap["why"] for gap in document["not_measured"])
    assert "requests" in shown.stderr  # the prose


def test_json_of_a_burst_is_the_json_of_its_report(site: Site) -> None:
    first = json.loads(burst(site, "-n", "2", "--no-capture", "--json", "-o", "here").stdout)
    second = json.loads(run_in_process("analyzer", "report", "here", "--json").stdout)
    for document in (first, second):
        document.pop("timings_s")
    assert first == second


def test_all_requests_failing_is_a_failed_run(site: Site) -> None:
    site.status = 503
    shown = burst(site, "-n", "3", "--no-capture")
    assert shown.returncode == 1
    assert "Traceback" not in shown.stderr
    assert len(runs()) == 1  # and it has its report all the same


def test_a_port_where_nobody_listens_is_a_failed_run() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))  # and does not listen; nor does anybody else there
        words = ["--vip", "127.0.0.1", "--port", silent.getsockname()[1], "-n", "2"]
        assert run_in_process("loadgen", "burst", *words, "--no-capture").returncode == 1


def test_a_run_directory_is_never_written_over(site: Site) -> None:
    assert burst(site, "-n", "1", "--no-capture", "-o", "here").returncode == 0
    shown = burst(site, "-n", "1", "--no-capture", "-o", "here")
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert site.asked == 1


# Directors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("directors", "says"),
    [
        ([UNREACHABLE], "no route to it"),
        (["exec:/nowhere/at/all"], "/nowhere/at/all"),
        (["exec:env", UNREACHABLE], "nothing was sent"),
    ],
)
def test_a_director_that_cannot_be_reached_is_one_line_before_anything_is_sent(
    directors: list[str], says: str, site: Site
) -> None:
    words = [word for spec in directors for word in ("--director", spec)]
    shown = burst(site, "-n", "3", "--no-capture", *words)
    assert shown.returncode == 2
    assert shown.stderr.count("\n") == 1
    assert shown.stdout == ""
    assert says in shown.stderr
    assert site.asked == 0
    assert runs() == []


def test_a_director_is_polled_until_it_has_forgotten_the_burst(site: Site, director: str) -> None:
    shown = burst(site, "-n", "3", "--no-capture", "--director", director, "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert [(peak["active"], peak["inactive"]) for peak in document["peaks"]] == [(1, 7), (1, 7)]
    manifest = json.loads((runs()[0] / "run.json").read_text())
    (facts,) = manifest["directors"].values()
    assert facts["timeouts"] == {"tcp": 900, "tcpfin": 120, "udp": 300}
    assert facts["clock_uncertainty_ms"] < 1000
    assert manifest["ended"] == "completed"


def test_the_environment_may_name_the_directors(
    site: Site, director: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOADGEN_DIRECTOR", director)
    shown = burst(site, "-n", "1", "--no-capture", "--observe", "0", "--json")
    assert len(json.loads(shown.stdout)["peaks"]) == 2


def test_a_director_has_the_name_that_it_is_given(site: Site, director: str) -> None:
    words = ["-n", "1", "--no-capture", "--observe", "0", "--director", f"lb1={director}"]
    shown = burst(site, *words, "-o", "here")
    assert shown.returncode == 0, shown.stderr
    manifest = json.loads((Path("here") / "run.json").read_text())
    assert {name: facts["link"] for name, facts in manifest["directors"].items()} == {
        "lb1": director
    }
    assert f"directors: lb1 ({director})" in shown.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_of_the_decay_ends_the_waiting_and_not_the_report(
    number: signal.Signals, site: Site, director: str
) -> None:
    words = ["burst", "--vip", "127.0.0.1", "--port", str(site.port), "-n", "3", "--no-capture"]
    process = subprocess.Popen(
        [SCRIPTS / "loadgen", *words, "--director", director, "--observe", "10m", "-o", "here"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: site.asked >= 3 or process.poll() is not None, 60)
    assert process.poll() is None, process.communicate()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.rstrip().endswith("here")
    assert (Path("here") / "report.html").exists()
    assert json.loads((Path("here") / "run.json").read_text())["ended"] == "interrupted"


# Reports -----------------------------------------------------------------------------------------


def test_a_watch_needs_no_load_and_reports_what_the_director_holds(director: str) -> None:
    words = ["collect", "--director", director, "-z", "1.5", "-i", "0.5", "--json"]
    shown = run_as_script("loadgen", *words)
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["requests"]["sent"] == 0
    assert [(peak["active"], peak["inactive"]) for peak in document["peaks"]] == [(1, 7), (1, 7)]
    assert "held up to 1 active and 7 inactive" in document["verdict"]
    assert "active 1, inactive 7" in shown.stderr
    assert runs()[0].name.endswith("-collect")
    assert (runs()[0] / "report.html").exists()


def test_a_watch_that_is_interrupted_is_reported(director: str) -> None:
    process = subprocess.Popen(
        [SCRIPTS / "loadgen", "collect", "--director", director, "-i", "0.5", "-o", "here"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "inactive 7" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert out.rstrip().endswith("here")
    assert (Path("here") / "report.html").exists()


def test_a_watch_of_nothing_is_wrong_usage() -> None:
    shown = run_in_process("loadgen", "collect", "--service", "192.0.2.77:80", "-z", "1")
    assert shown.returncode == 2
    assert "no director to watch" in shown.stderr
    assert runs() == []


def test_a_capture_is_of_one_service(director: str) -> None:
    shown = run_in_process(
        "loadgen", "collect", "--director", director, "--service", "10.9.9.9", "--capture"
    )
    assert shown.returncode == 2
    assert "--capture: name the one --service" in shown.stderr


@pytest.mark.parametrize(
    ("name", "run"), [("dr-burst-50", run_as_script), ("dr-burst-killed", run_in_process)]
)
def test_a_recording_is_enough_for_a_report(name: str, run: Runner) -> None:
    shutil.copytree(DATA / name, "run")
    shown = run("analyzer", "report", "run", "-o", "page.html")
    assert shown.returncode == 0, shown.stderr
    assert "</html>" in Path("page.html").read_text()
    assert "tcpfin governs the decay" in " ".join(shown.stdout.split())


@pytest.mark.parametrize("what", ["missing", "empty", "garbage"])
def test_a_report_of_no_recording_is_wrong_usage(what: str) -> None:
    if what != "missing":
        Path("run").mkdir()
    if what == "garbage":
        Path("run/run.json").write_text("{")
    shown = run_in_process("analyzer", "report", "run")
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1
    assert "run" in shown.stderr


# Usage -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["burst"],
        ["burst", "--vip", "not-an-address"],
        ["burst", "--vip", "127.0.0.1", "-n", "0"],
        ["burst", "--vip", "127.0.0.1", "--director", "bal01"],
        ["burst", "--vip", "127.0.0.1", "--timeouts", "1,2"],
        ["burst", "--vip", "127.0.0.1", "--nonsense"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_2_and_leaves_nothing(words: list[str]) -> None:
    shown = run_in_process("loadgen", *words)
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert shown.stdout == ""
    assert runs() == []


HEAVY = ("pandas", "aiohttp", "scapy", "numpy", "pyarrow", "plotly", "rich", "uvloop", "asyncio")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("loadgen", ["--help"]),
        ("loadgen", ["burst", "--help"]),
        ("analyzer", ["--help"]),
        ("analyzer", ["report", "--help"]),
    ],
)
def test_help_is_instant_because_it_imports_nothing_heavy(script: str, words: list[str]) -> None:
    program = (
        "import sys\n"
        f"from loadgen.commands.{script} import group\n"
        f"group.main({words!r}, standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert shown.stdout.startswith("Usage: ")
    assert shown.stderr == "[]\n"
