"""All tests of `make test`: unit, lab, browser. Every suite runs to its end, whichever fails.

Labs that measure time mostly wait for timers, and unit tests mostly work. So the unit tests take
the CPU time that these labs leave, in the scheduling class that gives way at once (SCHED_IDLE), and
disturb no timer. The other labs come after them: beside these, unit tests would starve until their
own limits of time are over. These labs leave a third of the CPU time, which the pages take at a low
priority. What runs beside labs prints when they have ended.
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
    from collections.abc import Callable
    from types import FrameType
    from typing import IO

PYTEST = [".ci/as-root", sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
UNIT = [*PYTEST, "-n", "3", "--dist", "loadfile", "tests/unit"]
ALONE = [*PYTEST, "-m", "alone", "tests/lab"]  # they measure time to a tenth of a second
LABS = [*PYTEST, "-m", "not alone", "-n", "2", "--dist", "loadfile", "tests/lab"]
PAGES = [*PYTEST, "tests/browser"]


def be_idle() -> None:
    """Run only where nobody else wants the CPU."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def be_nice() -> None:
    """Leave most of the CPU to others, but never starve: a browser that does is given up."""
    os.nice(10)


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
        be: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Begin a suite, printing to a file if one is given."""
        suite = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            preexec_fn=be,
        )
        self.running.append(suite)
        self.pass_on()  # a signal may have come before it was in the list
        return suite

    def end(self, suite: subprocess.Popen[bytes]) -> None:
        """Wait for a suite's end."""
        self.failed |= suite.wait() != 0
        self.running.remove(suite)

    def run(self, command: list[str], beside: list[str], be: Callable[[], None]) -> None:
        """A suite, and beside it another that gives way, unless we are to end."""
        if self.signal:
            return
        with tempfile.TemporaryFile() as output:
            giving_way = self.start(beside, output, be)
            if not self.signal:
                self.end(self.start(command))
            self.end(giving_way)
            output.seek(0)
            shutil.copyfileobj(output, sys.stdout.buffer)
            sys.stdout.flush()


def main() -> int:
    """Everything; 0 if all passed, 128 + n after signal n."""
    suites = Suites()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, suites.interrupt)
    suites.run(ALONE, UNIT, be_idle)
    suites.run(LABS, PAGES, be_nice)
    return 128 + suites.signal if suites.signal else int(suites.failed)


if __name__ == "__main__":
    sys.exit(main())
