"""At a worker: its links to directors, each opened, asked and closed by the host that polls.

A link that nobody asks for too long is closed: whoever opened it is gone.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loadgen.cluster.worker.questions import Answer, Opened, packed
from loadgen.director.links.clients import director_client
from loadgen.director.links.shell import AnswerTooLong, LinkLost
from loadgen.director.links.snapshot import Snapshot

if TYPE_CHECKING:
    from loadgen.cluster.worker.questions import Question
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.links.link import Link

LEASE_S = 60.0
_LOOK_EVERY_S = 1.0
held_links: dict[tuple[str, Link], HeldLink] = {}


class HeldLink:
    """A client of a director, whose questions come one after the other.

    Attributes:
        turn: held by the question that is on; one that nobody waits for any more goes to its end.
        heard_s: when it was last asked, or had answered; on the monotonic clock.
        is_closed: by order, or because nobody asked.
    """

    def __init__(self, client: DirectorClient) -> None:
        self.client = client
        self.turn = asyncio.Lock()
        self.heard_s = time.monotonic()
        self.is_closed = False
        self.lease: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close the link."""
        await self.client.close()
        self.is_closed = True


async def ask_director(question: Question, dask_worker: Any = None) -> Answer:
    """Call a method of the client of a director; Dask gives itself."""
    if dask_worker is not None:
        from loadgen.cluster.worker.plugin import close_with

        await close_with(dask_worker)
    key = (question.run, question.link)
    held = held_links.get(key)
    if held is None:
        held = held_links[key] = HeldLink(director_client(replace(question.link, worker=None)))
        held.lease = asyncio.create_task(_close_unasked(key, held))
    held.heard_s = time.monotonic()
    async with held.turn:
        try:
            value = await _called(held.client, question)
        except LinkLost as error:
            return Answer(lost=str(error), too_long=isinstance(error, AnswerTooLong))
        finally:
            held.heard_s = time.monotonic()
    return Answer(value=value)


async def _called(client: DirectorClient, question: Question) -> Any:
    client.source = question.source
    value = await getattr(client, question.asked)(*question.args, **question.more)
    if question.asked == "open":
        return Opened(boot_id=client.boot_id, host_name=client.host_name, programs=client.programs)
    return packed(value) if isinstance(value, Snapshot) else value


async def leave_director(run: str, link: Link) -> None:
    """Close the link to a director, if there is one."""
    held = held_links.pop((run, link), None)
    if held is not None:
        if held.lease is not None:
            held.lease.cancel()
        await held.close()


async def close_all() -> None:
    """Close all links: this worker ends."""
    for run, link in list(held_links):
        await leave_director(run, link)


async def _close_unasked(key: tuple[str, Link], held: HeldLink) -> None:
    while held.turn.locked() or time.monotonic() - held.heard_s < LEASE_S:
        await asyncio.sleep(_LOOK_EVERY_S)
    held_links.pop(key, None)
    await held.close()
