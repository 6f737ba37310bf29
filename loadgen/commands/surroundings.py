"""What a command needs of its process: three standard streams, some descriptors, a quick end.

cron, a service manager or a shell's ``<&-`` may start us with a standard stream closed. The next
file that is opened would get its number: libuv aborts on such a loop, and a report could become
what a child writes its errors into. So each that is closed is opened on /dev/null first.
"""

from __future__ import annotations

import atexit
import os
import resource
import sys
from contextlib import suppress
from typing import IO, Any

from loadgen.errors import UsageProblem

LEAST_DESCRIPTORS = 64
"""An event loop, three pipes a director, the recording's files, and what the interpreter opens."""


class LastStep:
    """The end of a process, given an exit code: nothing is taken apart.

    The kernel frees the memory at once; the interpreter would free object after object, an eighth
    of the time of a report of a short recording. Made first, it is called after all other
    functions of ``atexit``, when the threads have ended.

    Attributes:
        exit_code: the process's; while it is None, the interpreter ends as it always does.
    """

    def __init__(self) -> None:
        self.exit_code: int | None = None
        atexit.register(self)

    def __call__(self) -> None:
        """End the process, unless there is no exit code or the output cannot be written."""
        if self.exit_code is None:
            return
        with suppress(OSError, ValueError):  # it is the interpreter that says so
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(self.exit_code)


def prepare() -> None:
    """Mend what can be mended.

    Raises:
        UsageProblem: standard output is closed, or too few descriptors are allowed.
    """
    closed = open_standard_streams()
    if 1 in closed:
        raise UsageProblem("standard output is closed; expected a terminal, a file or /dev/null")
    for stream in (sys.stdout, sys.stderr):
        _show_what_cannot_be_encoded(stream)
    raise_descriptor_limit()


def open_standard_streams() -> set[int]:
    """Open on /dev/null what is closed of the three; the numbers of those that were."""
    closed = {number for number in (0, 1, 2) if not _is_open(number)}
    for number in sorted(closed):
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)
    sys.stdin = sys.stdin or _stream(0, "r")
    sys.stdout = sys.stdout or _stream(1, "w")
    sys.stderr = sys.stderr or _stream(2, "w")
    return closed


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _stream(number: int, mode: str) -> Any:
    return os.fdopen(number, mode, encoding="utf-8", closefd=False)


def _show_what_cannot_be_encoded(stream: IO[str]) -> None:
    """An output that is not in UTF-8 gets escapes for what it has no signs for."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def raise_descriptor_limit() -> None:
    """Allow this process the descriptors that it needs; raises as ``prepare`` does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LEAST_DESCRIPTORS:
        return
    if hard != resource.RLIM_INFINITY and hard < LEAST_DESCRIPTORS:
        raise UsageProblem(
            f"at most {hard} open files are allowed here (ulimit -n); "
            f"expected {LEAST_DESCRIPTORS} or more"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (LEAST_DESCRIPTORS, hard))
