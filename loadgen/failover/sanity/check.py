"""A set-up asked whether it is sane: by what its directors gave, and by one connection."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from loadgen.director.connect import connect_directors
from loadgen.director.links.clients import director_client
from loadgen.errors import LoadgenError
from loadgen.failover.sanity.rules import insanities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.burst.burst import BurstOptions
    from loadgen.director.boot_facts import BootFacts
    from loadgen.director.links.client import DirectorClient
    from loadgen.failover.options import FailoverOptions
    from loadgen.load.plan import LoadPlan
    from loadgen.sites import Site
    from loadgen.target import Target

PROBE_S = 3.0
BETWEEN_TRIES_S = 1.0
SANE_LIMIT_S = 45.0
"""For a set-up to be itself again after a run."""


def by_name(clients: Sequence[DirectorClient], facts: Sequence[BootFacts]) -> dict[str, BootFacts]:
    """The facts of each director, by its name."""
    pairs = zip(clients, facts, strict=True)
    return {client.link.name: facts_of_director for client, facts_of_director in pairs}


async def why_insane(
    plan: LoadPlan,
    clients: Sequence[DirectorClient],
    facts: Sequence[BootFacts],
    *,
    where: str | None,
    probe: bool,
) -> list[str]:
    """What is wrong with a set-up, a line each.

    Args:
        plan: of the load.
        clients: on the directors.
        facts: what each director gave when it was connected.
        where: the host that is to fail; None where that is not known.
        probe: try one connection too, which leaves an entry for ten seconds.
    """
    known = by_name(clients, facts)
    why = insanities(known, plan.target, where)
    return [*why, *(await _unanswered(plan.target) if probe else ())]


async def _unanswered(target: Target) -> list[str]:
    try:
        opening = asyncio.open_connection(target.vip, target.port)
        _, writer = await asyncio.wait_for(opening, PROBE_S)
        writer.transport.abort()
    except TimeoutError:
        return [f"{target.vip}:{target.port} does not answer"]
    except OSError as error:
        return [f"{target.vip}:{target.port} does not answer: {error.strerror or error}"]
    return []


async def until_sane(
    plan: LoadPlan, site: Site, options: FailoverOptions, watching: BurstOptions
) -> None:
    """Wait until the set-up is itself again; the next run says so itself if it is not."""
    deadline_s = time.monotonic() + SANE_LIMIT_S
    while time.monotonic() < deadline_s:
        clients = [director_client(link) for link in site.directors]
        try:
            with contextlib.suppress(LoadgenError):
                facts = await connect_directors(
                    clients, watching.timeouts, lambda _: None, watching.left_timeouts
                )
                if not await why_insane(plan, clients, facts, where=options.where, probe=True):
                    return
        finally:
            for client in clients:
                await client.close()
        await asyncio.sleep(BETWEEN_TRIES_S)
