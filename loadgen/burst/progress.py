"""What an operator sees while a run is on: one bar for the burst, then one for the decay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

from rich.progress import BarColumn, Progress, TextColumn

from loadgen.session.text_console import TextConsole
from reports.plain_text import printable

if TYPE_CHECKING:
    from types import TracebackType

    from loadgen.load.engines.tally import Tally

_ERRORS_SHOWN = 3
_DRAW_EVERY_S = 0.1
_LATE_NS = 20_000_000


class RunProgress:
    """Two bars on standard error; where that is no terminal, a line as each phase begins."""

    def __init__(self, requests: int | None, *, color: bool) -> None:
        self._console = TextConsole(color=color)
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=32),
            TextColumn("{task.fields[note]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
            transient=False,
        )
        self._burst = self._progress.add_task("burst", total=requests, note="")
        self._decay = self._progress.add_task("decay", total=1, note="", visible=False)
        self._decaying = False
        self._drawn_s = 0.0

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
        self._console.say(line)

    def sending(self, tally: Tally, inactive: int | None) -> None:
        """How far the burst is.

        Args:
            tally: of the requests so far.
            inactive: InActConn of all directors, at the last poll; None without directors.
        """
        now_s = time.monotonic()
        total = self._progress.tasks[self._burst].total
        if now_s - self._drawn_s < _DRAW_EVERY_S and tally.ended != total:
            return
        self._drawn_s = now_s
        note = printable(burst_note(tally, inactive))
        self._progress.update(self._burst, completed=tally.ended, note=note)

    def decaying(
        self, waited_s: float, limit_s: float, entries_left: int, inactive: int | None = None
    ) -> None:
        """How far the decay is: by time, and by entries left."""
        if not self._decaying and entries_left:
            self._decaying = True
            if not self._console.is_terminal:
                self.say(f"watching {entries_left} entries decay, at most {limit_s:.0f} s")
        self._progress.update(
            self._decay,
            visible=True,
            total=limit_s,
            completed=waited_s,
            note=decay_note(max(limit_s - waited_s, 0), entries_left, inactive),
        )


def burst_note(tally: Tally, inactive: int | None) -> str:
    """Requests ended, their rate, the commonest errors, lateness, what the directors hold."""
    parts = [f"{tally.ended:,}"]
    if tally.rate_per_s is not None:
        parts.append(f"{tally.rate_per_s:,.0f}/s")
    parts += [f"{count:,} {text}" for text, count in tally.errors.most_common(_ERRORS_SHOWN)]
    if tally.latest_ns > _LATE_NS:
        parts.append(f"up to {tally.latest_ns / 1e6:,.0f} ms late")
    if inactive is not None:
        parts.append(f"InActConn {inactive:,}")
    return ", ".join(parts)


def decay_note(left_s: float, entries_left: int, inactive: int | None) -> str:
    """The entries left, and when the last one will expire."""
    now = [] if inactive is None else [f"InActConn {inactive:,} now"]
    return ", ".join(
        [
            f"{entries_left:,} entries left",
            *now,
            f"gone in at most {left_s:.0f} s (q ends the wait)",
        ]
    )
