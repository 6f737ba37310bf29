"""Reaching all directors of a run before it begins."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from loadgen.director.boot_facts import learn_boot_facts
from loadgen.director.links.shell import LinkLost
from loadgen.director.timeouts.restore import put_back_left
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from analyzer.ipvs.states import Timeouts
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.timeouts.restore import LeftTimeouts


async def connect_directors(
    clients: Sequence[DirectorClient],
    timeouts: Timeouts | None,
    say: Callable[[str], None],
    left: LeftTimeouts = "put back",
) -> list[BootFacts]:
    """Who they are, asked of all at once; what a killed sweep owes them they get back first.

    Args:
        clients: on the directors, to be opened.
        timeouts: theirs, where the operator knows them and they cannot be read.
        say: takes a line for the operator.
        left: what is done about timeouts that a killed sweep left behind.

    Raises:
        UsageProblem: the first that cannot be reached, or has no IPVS, in one clear line.
    """
    reached = await asyncio.gather(
        *(_connect_one(client, timeouts, say, left) for client in clients), return_exceptions=True
    )
    return [_usable(known) for known in reached]


def _usable(reached: BootFacts | BaseException) -> BootFacts:
    if isinstance(reached, (LinkLost, UsageProblem)):
        raise UsageProblem(f"director cannot be used: {reached}; nothing was sent")
    if isinstance(reached, BaseException):
        raise reached
    return reached


async def _connect_one(
    client: DirectorClient,
    timeouts: Timeouts | None,
    say: Callable[[str], None],
    left: LeftTimeouts,
) -> BootFacts:
    await client.open()
    await put_back_left(client, say, left)
    return await learn_boot_facts(client, timeouts)
