"""Both scripts in broken surroundings: one clear line and the contract's exit code."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.unit.loadgen.commands.web import Site

SCRIPTS = Path(sys.executable).parent
PREDICT = ("analyzer", "predict", "-q", "100")

pytestmark = pytest.mark.usefixtures("alone")


def run(
    script: str, *words: object, redirect: str = "", limits: dict[int, int] | None = None
) -> subprocess.CompletedProcess[str]:
    def limit() -> None:
        for which, most in (limits or {}).items():
            resource.setrlimit(which, (most, most))

    return subprocess.run(
        ["sh", "-c", f'"$@" {redirect}', "sh", SCRIPTS / script, *map(str, words)],
        capture_output=True,
        encoding="latin-1",
        check=False,
        timeout=60,
        preexec_fn=limit,
    )


def burst_words(site: Site) -> list[object]:
    return ["burst", "--vip", "127.0.0.1", "--port", site.port, "-n", 3, "--no-capture"]


@pytest.mark.parametrize("redirect", ["<&-", "2>&-", "<&- 2>&-"])
def test_a_burst_goes_on_without_standard_input_or_error(site: Site, redirect: str) -> None:
    shown = run("loadgen", *burst_words(site), "-o", "here", redirect=redirect)
    assert shown.returncode == 0, shown.stderr
    assert site.asked == 3
    assert shown.stdout.rstrip().endswith("here")
    assert Path("here/report.html").exists()


def test_closed_standard_output_is_one_line_before_anything_is_sent(site: Site) -> None:
    shown = run("loadgen", *burst_words(site), redirect=">&-")
    assert shown.returncode == 2
    assert shown.stderr.splitlines() == [
        "loadgen: standard output is closed; expected a terminal, a file or /dev/null"
    ]
    assert site.asked == 0


def test_a_text_from_closed_standard_input_is_no_text() -> None:
    shown = run("analyzer", "parse", redirect="<&-")
    assert shown.returncode == 2
    assert "standard input: no text of ipvsadm" in shown.stderr


def test_full_standard_output_is_one_line() -> None:
    shown = run(*PREDICT, redirect=">/dev/full")
    assert shown.returncode == 2
    assert shown.stderr.splitlines() == [
        "analyzer: standard output: cannot be written: No space left on device"
    ]


def test_full_standard_error_does_not_end_a_run(site: Site) -> None:
    shown = run("loadgen", *burst_words(site), redirect="2>/dev/full")
    assert shown.returncode == 0
    assert site.asked == 3


def test_a_reader_that_has_gone_is_no_error() -> None:
    shown = run("analyzer", "schema", redirect="| true")
    assert shown.stderr == ""


def test_too_few_descriptors_are_one_line() -> None:
    shown = run(*PREDICT, limits={resource.RLIMIT_NOFILE: 12})
    assert shown.returncode == 2
    assert "at most 12 open files are allowed here (ulimit -n)" in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_an_output_that_is_not_utf_8_gets_escapes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    shown = run("analyzer", "check", "--quantities")  # with an ellipsis, which Latin-1 has not
    assert shown.returncode == 0, shown.stderr
    assert "first_byte_p50, \\u2026" in shown.stdout


def test_the_last_step_comes_after_all_others_and_leaves_objects_to_the_kernel() -> None:
    program = """if True:
        import atexit, sys, threading, time
        from loadgen.commands.surroundings import LastStep
        class Kept:
            def __del__(self):
                print("taken apart")
        last, kept = LastStep(), Kept()
        atexit.register(print, "registered")
        threading.Thread(target=lambda: (time.sleep(0.02), print("thread"))).start()
        last.exit_code = None if sys.argv[1] == "-" else int(sys.argv[1])
        sys.exit(3)
    """

    def shown(code: str) -> tuple[int, str]:
        argv = [sys.executable, "-c", program, code]
        ended = subprocess.run(argv, capture_output=True, text=True, check=False)
        return ended.returncode, ended.stdout

    assert shown("3") == (3, "thread\nregistered\n")
    assert shown("-") == (3, "thread\nregistered\ntaken apart\n")


ALGEBRA = "OPENBLAS_NUM_THREADS"


@pytest.mark.parametrize(
    ("script", "words", "imports_numpy"),
    [("analyzer", ("predict", "-q", "20"), True), ("loadgen", ("--version",), False)],
)
@pytest.mark.parametrize("by_user", [None, "2"])
def test_numpy_starts_no_threads_in_a_command_unless_its_user_says_so(
    script: str, words: tuple[str, ...], imports_numpy: bool, by_user: str | None
) -> None:
    program = """if True:
        import importlib, os, sys
        del sys.argv[0]
        try:
            importlib.import_module(f"loadgen.commands.{sys.argv[0]}").main()
        finally:
            imported = "numpy" in sys.modules
            import numpy
            threads = len(os.listdir("/proc/self/task"))
            print(imported, os.environ.get("OPENBLAS_NUM_THREADS"), threads, file=sys.stderr)
    """
    environ = {name: value for name, value in os.environ.items() if name != ALGEBRA}
    if by_user is not None:
        environ[ALGEBRA] = by_user
    argv = [sys.executable, "-c", program, script, *words]
    ended = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    threads = 1 if by_user is None else min(int(by_user), len(os.sched_getaffinity(0)))
    assert ended.stderr.split() == [str(imports_numpy), by_user or "1", str(threads)]
    assert ended.returncode == 0
