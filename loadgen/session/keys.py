"""The ``q`` key: at a terminal it ends a run as Ctrl-C does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import tty
from typing import Any


class QuitKey:
    """An activity that listens to the keyboard while the run is on; none where there is none."""

    def __init__(self) -> None:
        self._handle: int | None = None
        self._before: list[Any] = []

    async def __aenter__(self) -> QuitKey:
        if _at_keyboard():
            self._handle = sys.stdin.fileno()
            self._before = termios.tcgetattr(self._handle)
            tty.setcbreak(self._handle)
            asyncio.get_running_loop().add_reader(self._handle, self._pressed)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._handle is not None:
            asyncio.get_running_loop().remove_reader(self._handle)
            termios.tcsetattr(self._handle, termios.TCSADRAIN, self._before)

    async def done(self) -> None:
        """A keyboard never holds a run up."""

    def _pressed(self) -> None:
        assert self._handle is not None
        keys = os.read(self._handle, 64)
        if b"q" in keys.lower():
            signal.raise_signal(signal.SIGINT)
        elif not keys:
            asyncio.get_running_loop().remove_reader(self._handle)


def _at_keyboard() -> bool:
    """Standard input is a terminal, and we are not in its background."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):  # closed, or no terminal of our session's
        return False
