"""Orders to a host with a share, whatever its network does: a pipe in, files out (``boot.sh``)."""

from __future__ import annotations

import errno
import os
import secrets
import time
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed
from loadgen.lab.system.programs import one_line

if TYPE_CHECKING:
    from pathlib import Path

ANSWER_LIMIT_S = 10.0
LOOK_INTERVAL_S = 0.005
MAX_ORDER_BYTES = 3000  # a terminal's line has 4096


def order(share: Path, host_name: str, script: str, *, limit_s: float = ANSWER_LIMIT_S) -> str:
    """Run a line of shell on a host; what it printed.

    Raises:
        RunFailed: it did not end with 0, or there was no answer in time.
    """
    token = secrets.token_hex(6)
    output, done = share / f"said.{token}", share / f"done.{token}"
    try:
        _write(share / "orders", host_name, f"{token} {script}\n".encode())
        code = _wait_for(done, host_name, script, time.monotonic() + limit_s)
        printed = output.read_text(errors="replace")
    finally:
        output.unlink(missing_ok=True)
        done.unlink(missing_ok=True)
    if code != 0:
        raise RunFailed(f"{host_name}: {script}: {one_line(printed)}")
    return printed


def _write(path: Path, host_name: str, line: bytes) -> None:
    assert len(line) < MAX_ORDER_BYTES
    assert line.count(b"\n") == 1
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "nobody listens" if error.errno == errno.ENXIO else error.strerror
        raise RunFailed(f"{host_name} takes no orders: {why}") from error
    try:
        os.write(descriptor, line)  # whole, being shorter than PIPE_BUF
    finally:
        os.close(descriptor)


def _wait_for(done: Path, host_name: str, script: str, deadline_s: float) -> int:
    while True:
        text = done.read_text() if done.exists() else ""
        if text.endswith("\n"):
            return int(text)
        if time.monotonic() > deadline_s:
            raise RunFailed(f"{host_name}: {script}: no answer")
        time.sleep(LOOK_INTERVAL_S)
