"""`make demo`: a lab of our own, the burst, the page; the lab goes down again whatever happens.

KEEP=1 leaves it up. The exit code is the burst's, or the one of whatever went wrong before it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

LOADGEN = str(Path(sys.executable).with_name("loadgen"))
UP = [LOADGEN, "lab", "up", "--timeouts", "900,20,300"]
BURST = [LOADGEN, "burst", "--vip", "192.168.10.2", "-n", "50"]
DOWN = [LOADGEN, "lab", "down"]
RUNS = Path("runs")


def say(line: str) -> None:
    """One line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Stage:
    """Runs the demo's commands; a signal ends the one that runs, and all that would follow.

    Each stands in a session of its own, so that a signal reaches it once, by our hand, wherever it
    came from (a terminal's Ctrl-C would come twice), and so that the end is not cut short by one.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.running: subprocess.Popen[bytes] | None = None

    def listen(self) -> None:
        """From here on a signal no longer ends this process itself."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
                signal.signal(number, self.interrupt)

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Remember the signal, and hand it on to what runs."""
        self.signal = number
        if self.running is not None:
            self.running.send_signal(number)

    def run(self, command: list[str]) -> int:
        """One command; its exit code, or 128 + n if signal n has come by its end."""
        if not self.signal:
            with start(command) as self.running:
                if self.signal:  # it came before there was something to hand it on to
                    self.running.send_signal(self.signal)
                code = self.running.wait()
            self.running = None
            if not self.signal:
                return code if code >= 0 else 128 - code
        return 128 + self.signal

    def take_down(self) -> int:
        """The lab's end; signals that come now come too late."""
        self.running = None
        with start(DOWN) as down:
            return down.wait()


def start(command: list[str]) -> subprocess.Popen[bytes]:
    """A command in its own session, its output ours."""
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def main() -> int:
    """The demo."""
    if lab_is_up():
        say("demo: a lab is up already, and the demo brings up its own: `loadgen lab down` first")
        return 2
    before = pages(RUNS)
    os.environ["LOADGEN_LAB"] = "lab"  # labs of other names may hold the same VIP
    stage = Stage()
    stage.listen()
    try:
        code = stage.run(UP) or stage.run(BURST)
    finally:
        if os.environ.get("KEEP") == "1":
            say("demo: KEEP=1, so the lab stays up; `loadgen lab down` ends it")
        else:
            down = stage.take_down()
    if os.environ.get("KEEP") != "1":
        code = code or down
    give_back(RUNS)
    for page in pages(RUNS) - before:
        say(str(page))
    return code


def lab_is_up() -> bool:
    """Whether a lab of the default name is there; the demo must not take that one down."""
    status = subprocess.run(
        [LOADGEN, "lab", "status"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    return status.returncode == 0


def pages(runs: Path) -> set[Path]:
    """The pages of all runs."""
    return set(runs.glob("*/report.html"))


def give_back(runs: Path) -> None:
    """Recordings made by way of sudo belong to who called it."""
    owner = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if None in owner or not runs.is_dir():
        return
    uid, gid = (int(word or 0) for word in owner)
    for path in (runs, *runs.rglob("*")):
        os.lchown(path, uid, gid)


if __name__ == "__main__":
    sys.exit(main())
