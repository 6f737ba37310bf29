"""The wall clock of another host against ours, by asking it for the time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadgen.director.links.shell import Shell

if TYPE_CHECKING:
    from loadgen.director.links.link import Link
    from loadgen.director.links.shell import ShellAnswer

_ASKED = 5
_ANSWER_S = 5.0
_TIME = re.compile(rb"\s*(\d{1,12})\.(\d{9})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """How far another host's clock is ahead of ours.

    Attributes:
        offset_ns: its clock less ours; 0 where it is not known.
        uncertainty_ns: half of what the quickest answer took; None where the offset is not known.
    """

    offset_ns: int = 0
    uncertainty_ns: int | None = None


async def measure_offset(link: Link) -> ClockOffset:
    """Ask for the time, several times; the quickest answer counts.

    Raises:
        LinkLost: no answer.
    """
    if link.kind == "local":
        return ClockOffset(uncertainty_ns=0)
    shell = Shell(link)
    try:
        await shell.open()
        answers = [await shell.ask("date +%s.%N", timeout_s=_ANSWER_S) for _ in range(_ASKED)]
    finally:
        await shell.close()
    return offset_of(answers)


def offset_of(answers: list[ShellAnswer]) -> ClockOffset:
    """By the quickest of the answers that tell nanoseconds, as some hosts' date does not."""
    timed = [
        (answer.answered_ns - answer.asked_ns, answer)
        for answer in answers
        if _time_ns(answer) is not None
    ]
    if not timed:
        return ClockOffset()
    took_ns, quickest = min(timed, key=lambda pair: pair[0])
    between_ns = (quickest.asked_ns + quickest.answered_ns) // 2
    there_ns = _time_ns(quickest)
    assert there_ns is not None
    return ClockOffset(offset_ns=there_ns - between_ns, uncertainty_ns=took_ns // 2)


def _time_ns(answer: ShellAnswer) -> int | None:
    match = _TIME.fullmatch(answer.content)
    return int(match[1]) * 1_000_000_000 + int(match[2]) if match else None
