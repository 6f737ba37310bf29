"""Timeouts that a log printed: those at its start, and each change of them as an event.

A poll that prints others than the poll before says that they were changed between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.states import Timeouts
from loadgen.director.settings import TIMEOUTS_CHANGED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

NAMES = ("tcp", "tcpfin", "udp")
LOG = "printed in the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenTimeouts:
    """What is said of a director's timeouts.

    Attributes:
        start: those at the start; None where nobody says.
        source: who says so.
        events: rows of ``events/``, one for each change.
    """

    start: Timeouts | None
    source: str | None
    events: tuple[dict[str, Any], ...] = ()

    def manifest(self) -> dict[str, float] | None:
        """Those at the start, as ``run.json`` has them."""
        if self.start is None:
            return None
        return {name: getattr(self.start, f"{name}_s") for name in NAMES}


def given_timeouts(
    meta: Mapping[str, Any],
    meta_source: str,
    printed: Iterable[tuple[float, Timeouts]],
    host: str,
    at_ns: Callable[[float], int],
) -> GivenTimeouts:
    """The timeouts by what came with a log, and by what it printed.

    Args:
        meta: with ``timeouts``, those at the start, in seconds; or without.
        meta_source: its name.
        printed: what the polls printed, and when, on the director's clock; in order of time.
        host: the director's name.
        at_ns: the director's clock to the recording's.

    Raises:
        KeyError, TypeError, ValueError: what ``meta`` says is not three numbers.
    """
    given = meta.get("timeouts")
    start = Timeouts(**{f"{name}_s": float(given[name]) for name in NAMES}) if given else None
    source = meta_source if given else None
    last, since_ns = start, None
    events = []
    for t, timeouts in printed:
        if last is None:
            start, source = timeouts, LOG
        elif timeouts != last:
            events.append(_changed(host, timeouts, at_ns(t), since_ns))
        last, since_ns = timeouts, at_ns(t)
    return GivenTimeouts(start=start, source=source, events=tuple(events))


def _changed(host: str, timeouts: Timeouts, at_ns: int, since_ns: int | None) -> dict[str, Any]:
    numbers = (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)
    detail = " ".join(f"{value_s:g}" for value_s in numbers)
    row = {"at": at_ns, "host": host, "kind": TIMEOUTS_CHANGED, "detail": detail}
    return row | {"since": since_ns}
