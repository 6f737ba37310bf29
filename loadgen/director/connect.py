"""Reaching all directors of a run before it begins."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from dataclasses import replace
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
    from loadgen.director.links.link import Link
    from loadgen.director.timeouts.restore import LeftTimeouts

_HOST_NAME = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,62}")
_CONTAINER = re.compile(r"[0-9a-f]{12}|localhost")


async def connect_directors(
    clients: Sequence[DirectorClient],
    timeouts: Timeouts | None,
    say: Callable[[str], None],
    left: LeftTimeouts = "put back",
    *,
    needs_ipvs: bool = False,
) -> list[BootFacts]:
    """Who they are, asked of all at once; what a killed sweep owes them they get back first.

    Args:
        clients: on the directors, to be opened.
        timeouts: theirs, where the operator knows them and they cannot be read.
        say: takes a line for the operator.
        left: what is done about timeouts that a killed sweep left behind.
        needs_ipvs: a director that tracks connections by netfilter is of no use.

    Raises:
        UsageProblem: the first that cannot be reached, or keeps no connections that can be read,
            in one clear line.
    """
    opened = await asyncio.gather(*(client.open() for client in clients), return_exceptions=True)
    failed = {client: error for client, error in zip(clients, opened, strict=True) if error}
    there = [client for client in clients if client not in failed]
    adopt_host_names(there, socket.gethostname())
    asked = await asyncio.gather(
        *(_connect_one(client, timeouts, say, left, needs_ipvs=needs_ipvs) for client in there),
        return_exceptions=True,
    )
    reached = {**failed, **dict(zip(there, asked, strict=True))}
    return [_usable(reached[client]) for client in clients]


def adopt_host_names(clients: Sequence[DirectorClient], own: str) -> None:
    """Name directors that a command reaches as their hosts call themselves.

    A command's words make a poor heading. They stay where the host's name says no more: our own
    (a namespace), a container's number, or one that two directors have.

    Args:
        clients: that are open.
        own: the name of this machine.
    """
    taken = Counter(client.host_name for client in clients)
    taken.update(client.link.name for client in clients)
    for client in clients:
        name = client.host_name
        if client.link.kind != "exec" or client.link.is_named or name is None or name == own:
            continue
        if _HOST_NAME.fullmatch(name) and not _CONTAINER.fullmatch(name) and taken[name] == 1:
            client.link = replace(client.link, name=name)


def present_link(link: Link | None, clients: Sequence[DirectorClient]) -> Link | None:
    """A link under the name that its director has since it was connected."""
    if link is None:
        return None
    way = (link.argv, link.worker)
    there = (client.link for client in clients)
    return next((each for each in there if (each.argv, each.worker) == way), link)


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
    *,
    needs_ipvs: bool,
) -> BootFacts:
    await put_back_left(client, say, left)
    facts = await learn_boot_facts(client, timeouts)
    if needs_ipvs and facts.kind != "ipvs":
        raise UsageProblem(
            f"{client.link.spec}: its connections are netfilter's; this command is for IPVS"
        )
    return facts
