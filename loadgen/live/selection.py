"""Which real servers of a view are shown, and in which order; all are recorded."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.addresses import host_port

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from loadgen.live.view import DirectorView, ServerView, View

Order = Literal["listed", "active", "inactive", "new", "weight"]


def _new(server: ServerView) -> float:
    return server.arrivals.per_s if server.arrivals else 0.0


FIGURES: Mapping[str, Callable[[ServerView], float]] = {
    "weight": lambda server: server.weight,
    "active": lambda server: server.active,
    "inactive": lambda server: server.inactive,
    "new": _new,
}
_SMALLEST_FIRST = {"weight"}  # what drains comes first
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "=": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(
    rf"({'|'.join(FIGURES)})\s*({'|'.join(_COMPARE)})\s*([0-9]{{1,12}}(?:\.[0-9]{{1,6}})?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition of a figure, or a text that a row must have.

    Attributes:
        text: in lower case; None where there is a condition.
    """

    text: str | None = None
    figure: str = ""
    comparison: str = ""
    number: float = 0.0

    def takes(self, director: str, server: ServerView) -> bool:
        """Whether a real server is shown."""
        if self.text is None:
            return _COMPARE[self.comparison](FIGURES[self.figure](server), self.number)
        end = host_port(server.real_server, server.real_port)
        return self.text in f"{director} {server.service} {server.scheduler} {end}".lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is shown of a view.

    Attributes:
        order: as the director lists them, or by a figure: the largest first, the smallest weight.
        filters: all must take a real server.
    """

    order: Order = "listed"
    filters: tuple[Filter, ...] = ()

    def of(self, view: View) -> View:
        """The view with the real servers that are shown, in their order."""
        directors = [self._director(director) for director in view.directors]
        return replace(view, directors=tuple(found for found in directors if found is not None))

    def _director(self, director: DirectorView) -> DirectorView | None:
        """None where it has real servers, and none of them is shown."""
        shown = [
            server
            for server in director.servers
            if all(condition.takes(director.name, server) for condition in self.filters)
        ]
        if director.up and director.servers and not shown:
            return None
        return replace(director, servers=tuple(self._ordered(shown)))

    def _ordered(self, servers: Sequence[ServerView]) -> Sequence[ServerView]:
        """By service, as its first real server has it, and within the service."""
        if self.order == "listed":
            return servers
        figure, sign = FIGURES[self.order], 1 if self.order in _SMALLEST_FIRST else -1
        first: dict[str, float] = {}
        for server in servers:
            value = sign * figure(server)
            first[server.service] = min(first.get(server.service, value), value)
        return sorted(servers, key=lambda s: (first[s.service], s.service, sign * figure(s)))


def parse_filter(text: str) -> Filter:
    """``active>100``, ``weight=0``, or a text such as ``192.168.10.21``.

    Raises:
        ValueError: an empty text, or what looks like a condition and is none.
    """
    stripped = text.strip()
    match = _CONDITION.fullmatch(stripped)
    if match:
        return Filter(figure=match[1], comparison=match[2], number=float(match[3]))
    if not stripped or re.search(r"[<>=!]", stripped):
        raise ValueError(f"no filter: {text}")
    return Filter(text=stripped.lower())
