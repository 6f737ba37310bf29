"""What Ctrl-C, SIGTERM and SIGHUP do to a command that must end what it has begun."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

Result = TypeVar("Result")

_acting: ContextVar[Callable[[], object] | None] = ContextVar("acting", default=None)


@contextmanager
def on_signals(act: Callable[[], object]) -> Iterator[None]:
    """These signals call ``act`` meanwhile, and afterwards what they called before.

    A SIGHUP that is ignored already stays so: that is nohup(1).
    """
    outer, token = _acting.get(), _acting.set(act)
    numbers = _numbers()
    _call(act, numbers)
    try:
        yield
    finally:
        _acting.reset(token)
        _call(outer, numbers)


def _numbers() -> tuple[signal.Signals, ...]:
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    always = (signal.SIGINT, signal.SIGTERM)
    return (*always, signal.SIGHUP) if hangs_up else always


def _call(act: Callable[[], object] | None, numbers: tuple[signal.Signals, ...]) -> None:
    loop = asyncio.get_running_loop()
    for number in numbers:
        if act is None:
            loop.remove_signal_handler(number)
        else:
            loop.add_signal_handler(number, act)


class Steps:
    """Steps of a longer work, of which a signal ends the present one and all that would follow.

    Attributes:
        ended: a signal came.
    """

    def __init__(self, between: Callable[[], object]) -> None:
        """``between`` is called by a signal that comes while no step is on."""
        self.ended = False
        self._between = between
        self._step: asyncio.Task[object] | None = None

    def end(self) -> None:
        """What a signal does."""
        self.ended = True
        if self._step is None:
            self._between()
        else:
            self._step.cancel()

    async def take(self, step: Coroutine[object, object, Result]) -> Result | None:
        """Take a step; None if a signal came before it was over."""
        if self.ended:
            step.close()
            return None
        task = asyncio.ensure_future(step)
        self._step = task
        try:
            return await task
        except asyncio.CancelledError:
            if not self.ended:
                task.cancel()
                raise
            return None
        finally:
            self._step = None
