"""`make demo` takes its lab down whatever happens; the commands are played by a stub here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import environment
import pytest

from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

DEMO = environment.checkout() / ".ci" / "demo.py"
STUB = """\
#!/bin/sh
echo "$*" >>calls
case "$*" in
"lab status"*) exit ${STATUS:-1} ;;
"lab up"*) exit ${UP:-0} ;;
"lab down"*) exit ${DOWN:-0} ;;
burst*)
    if [ -n "$SLOW" ]; then
        trap 'echo told >>calls; exit 130' INT TERM
        echo listening >>calls
        sleep 60 >/dev/null & wait
    fi
    mkdir -p runs/r1; echo page >runs/r1/report.html; exit ${BURST:-0} ;;
esac
"""
UP = "lab up --timeouts 900,20,300"
BURST = "burst --vip 192.168.10.2 -n 50"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python beside which the command `loadgen` is the stub."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "loadgen").write_text(STUB)
    (tmp_path / "bin" / "loadgen").chmod(0o755)
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    return tmp_path / "bin" / "python"


def start(python: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [python, DEMO],
        cwd=python.parent.parent,
        env={**os.environ, "KEEP": "", **environ},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=hears_ctrl_c,
    )


def hears_ctrl_c() -> None:
    """Whoever runs the tests in the background ignores it, and so would all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def calls(python: Path) -> list[str]:
    try:
        return (python.parent.parent / "calls").read_text().splitlines()
    except FileNotFoundError:
        return []


def test_lab_up_burst_lab_down_and_the_page_last(python: Path) -> None:
    with start(python) as demo:
        out, _ = demo.communicate()

    assert demo.returncode == 0
    assert calls(python) == ["lab status", UP, BURST, "lab down"]
    assert out.splitlines()[-1] == "runs/r1/report.html"


@pytest.mark.parametrize(
    ("environ", "code", "called"),
    [
        ({"BURST": "1"}, 1, ["lab status", UP, BURST, "lab down"]),
        ({"UP": "7"}, 7, ["lab status", UP, "lab down"]),  # what came up of it goes down
        ({"DOWN": "3"}, 3, ["lab status", UP, BURST, "lab down"]),  # a lab left is no success
        ({"STATUS": "0"}, 2, ["lab status"]),  # somebody's lab: neither used nor taken down
        ({"KEEP": "1", "BURST": "1"}, 1, ["lab status", UP, BURST]),
    ],
)
def test_its_exit_code_is_the_one_of_what_went_wrong(
    python: Path, environ: dict[str, str], code: int, called: list[str]
) -> None:
    with start(python, **environ) as demo:
        demo.communicate()

    assert (demo.returncode, calls(python)) == (code, called)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_burst_and_the_lab_still_goes_down(python: Path, number: int) -> None:
    with start(python, SLOW="1") as demo:
        assert wait_until(lambda: "listening" in calls(python))
        demo.send_signal(number)
        demo.communicate()

    assert demo.returncode == 128 + number
    assert calls(python) == ["lab status", UP, BURST, "listening", "told", "lab down"]
