"""q at a terminal, and Ctrl-C: the burst ends, nothing of it is left, and the report is made."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.recording.directory import Recording
from tests.unit.waiting import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

LOADGEN = Path(sys.executable).parent / "loadgen"
SENDERS = 4


def press_q(_: subprocess.Popen[bytes], keyboard: int) -> None:
    os.write(keyboard, b"xq")


def ctrl_c(started: subprocess.Popen[bytes], _: int) -> None:
    started.send_signal(signal.SIGINT)


def drain(handle: int) -> None:
    """Read what a terminal shows, so that whoever writes is not held up."""
    with suppress(OSError):
        while os.read(handle, 4096):
            pass


@pytest.mark.parametrize(("engine", "end"), [("http", press_q), ("sockets", ctrl_c)])
def test_a_burst_is_ended_cleanly(
    engine: str, end: Callable[[subprocess.Popen[bytes], int], None], tmp_path: Path
) -> None:
    keyboard, terminal = pty.openpty()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        words = ["--vip", "127.0.0.1", "--port", str(listener.getsockname()[1]), "-n", "50"]
        flags = ["-c", str(SENDERS), "--engine", engine, "--no-capture"]
        started = subprocess.Popen(
            [LOADGEN, "burst", *words, *flags, "-o", str(tmp_path / "run")],
            env={**os.environ, "HOME": str(tmp_path)},
            preexec_fn=lambda: os.login_tty(terminal),
        )
        os.close(terminal)
        shown = threading.Thread(target=drain, args=(keyboard,))
        shown.start()
        listener.settimeout(LIMIT_S)
        clients = [listener.accept()[0] for _ in range(SENDERS)]
        for client in clients:  # its request has come, and is answered by nobody
            client.settimeout(LIMIT_S)
            assert client.recv(1, socket.MSG_PEEK)
        end(started, keyboard)
        assert started.wait(LIMIT_S) == 130
        shown.join()
        for client in clients:
            while client.recv(4096):  # the request, and then the end: no socket is left
                pass
            client.close()
    os.close(keyboard)
    rows = Recording.open(tmp_path / "run").table("requests")
    assert rows["error"].tolist() == ["interrupted"] * SENDERS
    assert (tmp_path / "run" / "report.html").exists()
