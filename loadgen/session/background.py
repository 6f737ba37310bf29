"""What activities have in common: a task that goes on beside the run, or nothing but a wait."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self


class Background:
    """An activity that is one task, begun with the run and cancelled at its end.

    A subclass says what goes on (``_run``), and where it needs to, what comes before and after.
    """

    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._begin()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            if self._task is not None:
                self._task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._task
        finally:
            await self._end()

    async def done(self) -> None:
        """Nobody waits for it, unless a subclass has something to wait for."""

    async def _begin(self) -> None:
        """Before the task; an error here ends the run before it has begun."""

    async def _run(self) -> None:
        raise NotImplementedError

    async def _end(self) -> None:
        """After the task, however it ended."""


class Waiting:
    """An activity that only holds a run up: a subclass says until when (``done``)."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """There is nothing to end."""

    async def done(self) -> None:
        """Return when the run need wait no longer."""
        raise NotImplementedError
