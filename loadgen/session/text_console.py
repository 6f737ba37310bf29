"""Standard error for tables and bars that are drawn anew: rich's console, with texts shown only."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from reports.layout import fitted
from reports.plain_text import log_line, printable

if TYPE_CHECKING:
    from typing import TextIO


class TextConsole(Console):
    """A console that nobody's text steers, and that is no reason to stop when it cannot be written.

    Only ``say`` and ``text_cell`` take texts of unknown origin.
    """

    def __init__(self, *, color: bool, file: TextIO | None = None, **options: Any) -> None:
        """``file`` is standard error by default; ``options`` are rich's."""
        where: dict[str, Any] = {"stderr": True} if file is None else {"file": file}
        super().__init__(**where, no_color=not color, highlight=False, **options)

    def say(self, line: str) -> None:
        """Print one line above what is drawn."""
        width = self.width if self.is_terminal else None
        for part in fitted(log_line(line), width):
            self.print(part, markup=False, soft_wrap=True)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich does; what cannot be written is left out."""
        with suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Nobody reads any more: rich would end the program here."""
        self.quiet = True


def text_cell(text: str, style: str = "") -> Text:
    """A text of unknown origin as a cell of a table."""
    return Text(printable(text), style=style)
