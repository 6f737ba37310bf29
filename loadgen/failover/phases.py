"""The phases of a fail-over: quiet, the fault, its undoing, quiet. Undone whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.recording.hosts import CLIENT
from loadgen.errors import LoadgenError
from loadgen.session.background import Background

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from analyzer.recording.directory import RecordingWriter
    from loadgen.failover.faults import Fault

SPEAK_BEFORE_S = 2.0
"""Before a phase ends, idle connections say a word: whether they live shows in no other way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Seconds before the fault, from it until it is undone, and from then to the end."""

    before_s: float
    after_s: float
    tail_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What else is done on the way; each is awaited.

    Attributes:
        first: before the fault, once the quiet is over.
        second: when the new master has had its time.
        speak: shortly before a phase ends.
    """

    first: Callable[[], Awaitable[None]] | None = None
    second: Callable[[], Awaitable[None]] | None = None
    speak: Callable[[], None] | None = None


class FaultSchedule(Background):
    """An activity that does the fault at its time and undoes it, whatever happens.

    Attributes:
        over: set when the course has come to its end.
    """

    def __init__(
        self,
        fault: Fault,
        timing: Timing,
        recording: RecordingWriter,
        say: Callable[[str], None],
        hooks: Hooks = Hooks(),
    ) -> None:
        self.over = asyncio.Event()
        self._fault = fault
        self._timing = timing
        self._recording = recording
        self._say = say
        self._hooks = hooks
        self._doing: asyncio.Task[None] | None = None
        self._owes = False

    async def done(self) -> None:
        """Return at the end of the course."""
        assert self._task is not None
        await self._task

    async def _run(self) -> None:
        timing, hooks = self._timing, self._hooks
        await asyncio.sleep(timing.before_s)
        await _call(hooks.first)
        try:
            await self._do()
            await self._phase(timing.after_s)
            await _call(hooks.second)
            await self._undo()
        except LoadgenError as error:
            self._learn(why_insane=[*self._failover_manifest().get("why_insane", []), str(error)])
            self._say(f"the run is invalid: {error}")
            self.over.set()
            return
        await self._phase(timing.tail_s)
        self.over.set()

    async def _phase(self, seconds: float) -> None:
        """Wait; shortly before the end idle connections speak."""
        await asyncio.sleep(max(seconds - SPEAK_BEFORE_S, 0))
        if self._hooks.speak is not None:
            self._hooks.speak()
        await asyncio.sleep(min(seconds, SPEAK_BEFORE_S))

    async def _end(self) -> None:
        """Whatever ended the run, the set-up is put right again."""
        with contextlib.suppress(LoadgenError):
            if self._doing is not None:
                await asyncio.shield(self._doing)
        await self._undo()

    async def _do(self) -> None:
        self._say(f"fault: {self._fault.name}")
        self._owes = self._fault.undoable
        self._learn(ordered_ns=time.time_ns())
        self._event("fault", self._fault.name)
        await self._through(self._fault.do())
        self._learn(done_ns=time.time_ns())

    async def _undo(self) -> None:
        if not self._owes:
            return
        self._owes = False
        self._say(f"undoing: {self._fault.name}")
        self._learn(undo_ordered_ns=time.time_ns())
        self._event("fault-undone", self._fault.name)
        await self._through(self._fault.undo())
        self._learn(undone_ns=time.time_ns())

    async def _through(self, acting: Any) -> None:
        """Act to the end, also when the run is over meanwhile: half a fault cannot be undone."""
        self._doing = asyncio.ensure_future(acting)
        await asyncio.shield(self._doing)

    def _failover_manifest(self) -> dict[str, Any]:
        return dict(self._recording.manifest["failover"])

    def _learn(self, **facts: Any) -> None:
        self._recording.update_manifest({"failover": self._failover_manifest() | facts})

    def _event(self, kind: str, detail: str) -> None:
        row = {"at": time.time_ns(), "host": CLIENT, "kind": kind, "detail": detail}
        self._recording.append("events", row)


async def _call(hook: Callable[[], Awaitable[None]] | None) -> None:
    if hook is not None:
        await hook()
