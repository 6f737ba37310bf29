"""All tests of `make test`: unit, lab, browser. Every suite runs to its end, whichever fails.

Labs that measure time mostly wait for timers, and unit tests mostly work. So the unit tests take
the CPU time that these labs leave, in the scheduling class that gives way at once (SCHED_IDLE), and
disturb no timer. The other labs come after them: beside these, unit tests would starve until their
own limits of time are over. What runs beside labs prints when they have ended.

The other labs wait too, two thirds of their time, and a page in a browser has work for a core:
three workers take the files of both, those first that take longest (tests/lab/conftest.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType
    from typing import IO

PYTEST = [".ci/as-root", sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
UNIT = [*PYTEST, "-n", "3", "--dist", "loadfile", "tests/unit"]
ALONE = [*PYTEST, "-m", "alone", "tests/lab"]  # they measure time to a tenth of a second
TOGETHER = ["-n", "3", "--dist", "loadfile", "--no-loadscope-reorder"]
OTHERS = [*PYTEST, "-m", "not alone", *TOGETHER, "tests/lab", "tests/browser"]


def be_idle() -> None:
    """Run only where nobody else wants the CPU."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Suites:
    """The suites that run, and whether one has failed."""

    def __init__(self) -> None:
        self.signal = 0
        self.failed = False
        self.running: list[subprocess.Popen[bytes]] = []
        self.interrupted: list[subprocess.Popen[bytes]] = []

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """End what runs as Ctrl-C does; a terminal has done it already.

        Labs that several processes of one suite have up are left for the next session to remove.
        """
        self.signal = number
        self.pass_on()

    def pass_on(self) -> None:
        """Each suite that runs gets a signal once."""
        if self.signal not in (0, signal.SIGINT):
            for suite in [suite for suite in self.running if suite not in self.interrupted]:
                self.interrupted.append(suite)
                suite.send_signal(signal.SIGINT)

    def start(
        self,
        command: list[str],
        output: IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Begin a suite; one with a file for its output is idle."""
        suite = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            preexec_fn=be_idle if output else None,
        )
        self.running.append(suite)
        self.pass_on()  # a signal may have come before it was in the list
        return suite

    def end(self, suite: subprocess.Popen[bytes]) -> None:
        """Wait for a suite's end."""
        self.failed |= suite.wait() != 0
        self.running.remove(suite)

    def run(self, command: list[str]) -> None:
        """One suite, unless we are to end."""
        if not self.signal:
            self.end(self.start(command))


def main() -> int:
    """Everything; 0 if all passed, 128 + n after signal n."""
    suites = Suites()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, suites.interrupt)
    with tempfile.TemporaryFile() as output:
        unit = suites.start(UNIT, output)
        suites.run(ALONE)
        suites.end(unit)
        output.seek(0)
        shutil.copyfileobj(output, sys.stdout.buffer)
        sys.stdout.flush()
    suites.run(OTHERS)
    return 128 + suites.signal if suites.signal else int(suites.failed)


if __name__ == "__main__":
    sys.exit(main())
