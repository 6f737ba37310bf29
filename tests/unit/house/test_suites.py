"""`make test` runs every suite to its end; the suites are played by a stub here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import environment
import pytest

from tests.unit.waiting import LIMIT_S, wait_until

if TYPE_CHECKING:
    from pathlib import Path

SUITES = environment.checkout() / ".ci" / "suites.py"
STUB = """\
#!/bin/sh
case "$*" in
*"-m not alone"*" tests/lab tests/browser") suite=others ;;
*"-m alone"*" tests/lab") suite=alone ;;
*" tests/unit") suite=unit ;;
esac
trap 'echo "$suite interrupted" >>calls; exit 2' INT
echo "$suite by $(chrt -p $$ | sed -n 's/.*policy: SCHED_//p')" >>calls
echo "output of $suite"
if [ "$suite" = "$SLOW" ]; then
    sleep 60 >/dev/null & wait
fi
[ "$suite" != "$FAILING" ]
"""
FIRST = {"unit by IDLE", "alone by OTHER"}
THEN = {"others by OTHER"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a stub for what runs a suite."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "as-root").write_text(STUB)
    (tmp_path / ".ci" / "as-root").chmod(0o755)
    return tmp_path


def start(checkout: Path, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SUITES],
        cwd=checkout,
        env={**os.environ, "SLOW": "", "FAILING": "", **environ},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=be_ordinary,
    )


def be_ordinary() -> None:
    """As a user's shell is, also where these tests are idle themselves."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def calls(checkout: Path) -> list[str]:
    file = checkout / "calls"
    return file.read_text().splitlines() if file.exists() else []


def test_every_suite_runs_and_unit_tests_only_on_what_is_left_of_the_cpu(checkout: Path) -> None:
    with start(checkout) as ran:
        output, _ = ran.communicate(timeout=LIMIT_S)
    assert ran.returncode == 0
    assert set(calls(checkout)) == FIRST | THEN
    assert sorted(output.split("\n")[:-1]) == sorted(
        f"output of {suite}" for suite in ("alone", "others", "unit")
    )


@pytest.mark.parametrize("failing", ["unit", "alone", "others"])
def test_one_that_fails_stops_no_other_and_fails_the_whole(checkout: Path, failing: str) -> None:
    with start(checkout, FAILING=failing) as ran:
        output, _ = ran.communicate(timeout=LIMIT_S)
    assert ran.returncode == 1
    assert set(calls(checkout)) == FIRST | THEN
    assert f"output of {failing}" in output


@pytest.mark.parametrize(
    ("slow", "begun"),
    [("unit", FIRST), ("alone", FIRST), ("others", FIRST | THEN)],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_what_runs_as_ctrl_c_does_and_nothing_begins_after_it(
    checkout: Path, slow: str, begun: set[str], number: signal.Signals
) -> None:
    with start(checkout, SLOW=slow) as ran:
        assert wait_until(lambda: begun <= set(calls(checkout)))
        ran.send_signal(number)
        ran.communicate(timeout=LIMIT_S)
    assert ran.returncode == 128 + number
    assert f"{slow} interrupted" in calls(checkout)
    ended = " interrupted"  # so may be another that was about to end by itself
    assert sorted(call for call in calls(checkout) if not call.endswith(ended)) == sorted(begun)


def test_other_labs_wait_for_the_unit_tests(checkout: Path) -> None:
    with start(checkout, SLOW="unit") as ran:
        assert wait_until(lambda: set(calls(checkout)) >= FIRST)
        with pytest.raises(subprocess.TimeoutExpired):
            ran.communicate(timeout=1)
        assert set(calls(checkout)) == FIRST
        ran.send_signal(signal.SIGTERM)
        ran.communicate(timeout=LIMIT_S)
