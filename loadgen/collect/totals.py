"""A director's own totals over all its services (``/proc/net/ip_vs_stats``), for the metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from analyzer.ipvs.ipvsadm.reader import parse
from loadgen.director.counters import Counters
from loadgen.director.links.shell import LinkLost, Shell
from loadgen.session.background import Background

if TYPE_CHECKING:
    from loadgen.director.links.link import Link

EVERY_S = 2.0
_ANSWER_S = 5.0
_MOST_CHARACTERS = 4096
_ASK = "cat /proc/net/ip_vs_stats 2>/dev/null"


class Totals(Background):
    """An activity that reads one director's totals through a shell of its own.

    Attributes:
        name: the director's.
        now: the last totals; None while they are not to be had.
    """

    def __init__(self, link: Link) -> None:
        self.name = link.name
        self.now: Counters | None = None
        self._shell = Shell(link)

    async def _run(self) -> None:
        connected = False
        while True:
            try:
                if not connected:
                    await self._shell.open()
                connected = True
                self.now = parse_totals((await self._shell.ask(_ASK, timeout_s=_ANSWER_S)).text)
            except LinkLost:
                connected, self.now = False, None
            await asyncio.sleep(EVERY_S)

    async def _end(self) -> None:
        await self._shell.close()


def parse_totals(text: str) -> Counters | None:
    """Read ``/proc/net/ip_vs_stats``; None where it is no such text."""
    total = parse(text[:_MOST_CHARACTERS]).total
    if total is None:
        return None
    return Counters(total.conns, total.inpkts, total.outpkts, total.inbytes, total.outbytes)
