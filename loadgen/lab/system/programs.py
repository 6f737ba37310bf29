"""Run a program and say clearly what went wrong when it fails."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROGRAM_LIMIT_S = 20.0
MARK = "LOADGEN_PART_OF_LAB"
"""Environment variable that names the lab a process was started for: a process that was on its way
into a namespace when ``lab up`` was killed is known by it. Nobody sets it by hand: all that carry
it are ended with the lab."""

SYSTEM_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"
"""Where administrators' programs lie, for a caller whose PATH lacks them."""

_lab_name: ContextVar[str | None] = ContextVar("lab_name", default=None)


@contextmanager
def marked(lab_name: str) -> Iterator[None]:
    """Programs run meanwhile carry the lab's mark."""
    token = _lab_name.set(lab_name)
    try:
        yield
    finally:
        _lab_name.reset(token)


def run_program(
    step: str, argv: Sequence[str], *, text: str = "", limit_s: float = PROGRAM_LIMIT_S
) -> str:
    """A program's standard output.

    Raises:
        RunFailed: it could not start, took too long or did not end with 0. One line: the step,
            the command, what it printed.
    """
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=limit_s, env=environment()
        )
    except OSError as error:
        raise failure(step, argv, error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise failure(step, argv, f"no end after {limit_s:g} s") from error
    if done.returncode != 0:
        raise failure(step, argv, done.stderr or done.stdout or f"exit code {done.returncode}")
    return done.stdout


def failure(step: str, argv: Sequence[str], printed: str) -> RunFailed:
    """The error of a step: which step, which command, what it printed, in one line."""
    return RunFailed(f"{step}: {shlex.join(argv)}: {one_line(printed)}")


def one_line(text: str, *, last: int = 3) -> str:
    """The last lines that hold something, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-last:]) or "no output"


def search_path() -> str:
    """PATH, and the system directories after it."""
    return f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_DIRECTORIES}"


def environment() -> Mapping[str, str]:
    """What a program of ours is run with."""
    lab_name = _lab_name.get()
    mark = {MARK: lab_name} if lab_name else {}
    return {**os.environ, "PATH": search_path(), **mark}
