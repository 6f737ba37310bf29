"""Lines of a service table, and who may have printed them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from analyzer.ipvs.ipvsadm.lines import line as line_of

if TYPE_CHECKING:
    from analyzer.ipvs.ipvsadm.ends import Notation
    from analyzer.ipvs.ipvsadm.model import Service

LEADS: dict[Notation | None, int] = {"kernel": 1, "ipvsadm": -1}
"""By how many lines the kernel is ahead of ipvsadm after one of this notation."""


class Row(NamedTuple):
    """A real server's line, as text: its words would take five times the memory."""

    number: int
    raw: str
    columns: tuple[str, ...] | None

    @property
    def words(self) -> list[str]:
        """From the arrow on."""
        return line_of(self.number, self.raw).words


@dataclass(slots=True, kw_only=True)
class Draft:
    """A service's line as text, and how many real servers have followed it."""

    number: int
    raw: str
    columns: tuple[str, ...] | None
    service: Service | None = None  # without its real servers, if nothing in the line is in doubt
    rows: int = 0  # of its real servers
    waiting: int = 0  # of them, not yet understood
    broken: bool = False  # its line was not understood
    kernels: int = 0  # by how many lines the kernel is ahead: one broken line decides nothing
    either: int = 0  # lines that both may have printed

    def vote(self, printed_by: Notation | None) -> None:
        """Count a line, the service's own or a real server's."""
        self.kernels += LEADS.get(printed_by, 0)
        self.either += printed_by == "either"

    @property
    def words(self) -> list[str]:
        """Of its line."""
        return line_of(self.number, self.raw).words
