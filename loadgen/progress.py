"""What an operator sees while a run is on: one bar for the burst, then one for the decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

if TYPE_CHECKING:
    from types import TracebackType


class RunProgress:
    """Two bars on standard error; where that is no terminal, a line as each phase begins."""

    def __init__(self, requests: int, *, color: bool) -> None:
        self._console = Console(stderr=True, no_color=not color)
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=False,
        )
        self._requests = requests
        self._failed = 0
        self._burst = self._progress.add_task("burst", total=requests, note=f"0/{requests}")
        self._decay = self._progress.add_task("decay", total=1, note="", visible=False)
        self._decaying = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        """A line above the bars."""
        self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def request_ended(self, succeeded: bool) -> None:
        """Advance the burst by one."""
        self._failed += not succeeded
        self._progress.advance(self._burst)
        done = int(self._progress.tasks[0].completed)
        failed = f", {self._failed} failed" if self._failed else ""
        self._progress.update(self._burst, note=f"{done}/{self._requests}{failed}")

    def decaying(self, waited_s: float, limit_s: float, entries_left: int) -> None:
        """How far the decay is: by time, and by entries left."""
        left_s = max(limit_s - waited_s, 0)
        if not self._decaying and entries_left:
            self._decaying = True
            if not self._console.is_terminal:
                self.say(f"watching {entries_left} entries decay, at most {limit_s:.0f} s")
        self._progress.update(
            self._decay,
            visible=True,
            total=limit_s,
            completed=waited_s,
            note=f"{entries_left} entries left, at most {left_s:.0f} s (Ctrl-C ends the waiting)",
        )
