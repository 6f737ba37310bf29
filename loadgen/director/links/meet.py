"""Reaching all directors of a run before it begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadgen.director.facts import learn_facts
from loadgen.director.links.shell import LinkLost
from loadgen.director.timeouts import put_back_left
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.ipvs.states import Timeouts
    from loadgen.director.facts import DirectorFacts
    from loadgen.director.links.eye import Eye
    from loadgen.director.timeouts import LeftTimeouts


async def meet(
    eyes: Sequence[Eye],
    timeouts: Timeouts | None,
    say: Callable[[str], None],
    left: LeftTimeouts = "put back",
) -> list[DirectorFacts]:
    """Who they are, asked of all at once; what a killed sweep owes them they get back first.

    Args:
        eyes: on the directors, to be opened.
        timeouts: theirs, where the operator knows them and they cannot be read.
        say: takes a line for the operator.
        left: what is done about timeouts that a killed sweep left behind.

    Raises:
        UsageProblem: the first that cannot be reached, or has no IPVS, in one clear line.
    """
    met = await asyncio.gather(
        *(_meet_one(eye, timeouts, say, left) for eye in eyes), return_exceptions=True
    )
    return [_usable(known) for known in met]


def _usable(met: DirectorFacts | BaseException) -> DirectorFacts:
    if isinstance(met, (LinkLost, UsageProblem)):
        raise UsageProblem(f"director cannot be used: {met}; nothing was sent")
    if isinstance(met, BaseException):
        raise met
    return met


async def _meet_one(
    eye: Eye, timeouts: Timeouts | None, say: Callable[[str], None], left: LeftTimeouts
) -> DirectorFacts:
    await eye.open()
    await put_back_left(eye, say, left)
    return await learn_facts(eye, timeouts)
