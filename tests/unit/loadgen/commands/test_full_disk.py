"""A disk that is full, files that may not grow, names that are too long: the run goes on."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.unit.loadgen.commands.in_process import run_in_process

if TYPE_CHECKING:
    from tests.unit.loadgen.commands.web import Site

SCRIPTS = Path(sys.executable).parent
DATA = Path(__file__).resolve().parents[3] / "data"
IN_SMALL_FILESYSTEM = 'mkdir small; mount -t tmpfs -o size=24k none small; "$@"; echo "exit $?"'

pytestmark = pytest.mark.usefixtures("alone")


def run(
    *words: object, most_bytes: int | None = None, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        if most_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    script, *rest = map(str, words)
    argv = [*before, str(SCRIPTS / script), *rest]
    return subprocess.run(
        argv,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # half of it would break what runs next
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=limit,
    )


def burst_words(site: Site) -> list[object]:
    return ["loadgen", "burst", "--vip", "127.0.0.1", "--port", site.port, "--no-capture"]


def test_files_that_may_not_grow_end_the_recording_and_not_the_run(site: Site) -> None:
    shown = run(*burst_words(site), "-n", 40, "-o", "here", most_bytes=2200)
    assert site.asked == 40
    assert "here/requests/part-00000.parquet: cannot be written: File too large" in shown.stderr
    assert "nothing more is recorded" in shown.stderr
    assert shown.returncode in (1, 2)
    assert "Traceback" not in shown.stderr
    assert "fault" not in shown.stderr
    assert not list(Path("here").rglob(".*"))  # nothing half written is left


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_ends_the_recording_and_not_the_run(site: Site) -> None:
    in_namespace = ("unshare", "--mount", "sh", "-c", IN_SMALL_FILESYSTEM, "sh")
    shown = run(*burst_words(site), "-n", 400, "-o", "small/run", before=in_namespace)
    assert site.asked == 400
    assert "cannot be written: No space left on device" in shown.stderr
    assert "small/run/" in shown.stderr
    assert shown.stdout.rstrip()[-6:] in ("exit 1", "exit 2")
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("report", "run", "-o", "{long}"),
        ("compare", "run", "run", "-o", "{long}"),
        ("history", ".", "-o", "{long}"),
        ("predict", "-q", "10", "-o", "{long}"),
        ("anonymise", "run", "-o", "{long}"),
        ("check", "run", "--expect", "sent>0", "--junit", "{long}"),
        ("report", "run", "--format", "csv", "-o", "{long}"),
        ("report", "run", "--format", "md", "-o", "{long}"),
        ("import", "capture.pcap", "-o", "{long}"),
    ],
)
def test_a_name_that_is_too_long_is_one_line_with_the_name(words: tuple[str, ...]) -> None:
    large = shutil.ignore_patterns("capture.pcap", "entries")
    shutil.copytree(DATA / "dr-burst-50", "run", ignore=large)
    shutil.copy(DATA / "field" / "dr50.pcap", "capture.pcap")
    name = "x" * 300
    shown = run_in_process("analyzer", *(word.format(long=name) for word in words))
    assert shown.returncode == 2, shown.stderr
    assert "File name too long" in shown.stderr
    assert name in shown.stderr.splitlines()[-1]
    assert "fault" not in shown.stderr


@pytest.mark.parametrize("words", [("import", "capture.pcap"), ("anonymise", "run")])
def test_what_is_no_run_fails_where_it_cannot_be_written(words: tuple[str, ...]) -> None:
    shutil.copytree(DATA / "dr-burst-50", "run")
    shutil.copy(DATA / "field" / "dr50.pcap", "capture.pcap")
    shown = run("analyzer", *words, "-o", "there", most_bytes=1500)
    assert shown.returncode == 2
    assert "there/" in shown.stderr
    assert "cannot be written: File too large" in shown.stderr


def test_a_run_that_cannot_be_written_to_is_reported_elsewhere() -> None:
    shutil.copytree(DATA / "dr-burst-50", "run")
    Path("run/analysis.json").mkdir()  # also root cannot write a file of that name
    shown = run_in_process("analyzer", "report", "run", "-o", "page.html", "--json")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["requests"]["sent"] == 50
    assert "warning: run/analysis.json: cannot be written" in shown.stderr
    assert Path("page.html").exists()


def test_a_page_that_cannot_be_written_leaves_the_summary() -> None:
    shutil.copytree(DATA / "dr-burst-50", "run")
    shown = run_in_process("analyzer", "report", "run", "-o", "nowhere/page.html")
    assert shown.returncode == 2
    assert "50 succeeded" in shown.stderr
    assert "nowhere/page.html: cannot be written: No such file or directory" in shown.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("analyzer", "report", "run", "-o", ""),
        ("analyzer", "report", ""),
        ("analyzer", "anonymise", "run", "-o", ""),
        ("analyzer", "import", "run", "-o", ""),
        ("loadgen", "burst", "--vip", "127.0.0.1", "-o", ""),
        ("loadgen", "collect", "-o", ""),
    ],
)
def test_an_empty_path_is_wrong_usage(words: tuple[str, ...]) -> None:
    shown = run_in_process(*words)
    assert shown.returncode == 2
    assert "expected a path, not an empty text" in shown.stderr
    assert shown.stderr.count("\n") == 1
    assert not list(Path.cwd().iterdir())
