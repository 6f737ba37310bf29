"""SIGTERM and SIGHUP end a command as Ctrl-C does: by KeyboardInterrupt, so that it is undone."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def install() -> None:
    """From now on the first of these signals interrupts; what comes after is ignored.

    The second Ctrl-C of an impatient user would otherwise cut the undoing short. A SIGHUP that is
    ignored already stays so: that is nohup(1).
    """
    for number in SIGNALS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt
