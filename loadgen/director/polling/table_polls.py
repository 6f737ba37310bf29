"""Polls of ``/proc/net/ip_vs_status``: what the kernel says of its table of entries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.table_status import to_manifest
from loadgen.director.polling.pace import POLL_TIMEOUT_S, Pace

if TYPE_CHECKING:
    from analyzer.ipvs.table_status import TableStatus
    from loadgen.director.links.client import DirectorClient

TABLE_EVERY_S = 2.0
"""While the table gets fuller; else it is read with the settings."""


class TablePolls:
    """The table's status at its fullest and at the last poll, where the kernel gives one."""

    def __init__(
        self, client: DirectorClient, at_start: TableStatus | None, director_cpu: float
    ) -> None:
        """``at_start`` is the status before the run; None, and it is never asked for."""
        self._client = client
        self._latest = self._fullest = at_start
        self._pace = Pace(director_cpu / 4, TABLE_EVERY_S)

    def manifest(self) -> dict[str, Any]:
        """Both, for ``run.json``; {} without any."""
        if self._fullest is None:
            return {}
        return {
            "table_status_fullest": to_manifest(self._fullest),
            "table_status_at_end": to_manifest(self._latest),
        }

    async def poll(self) -> None:
        """Ask for it.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self._fullest is None:
            return
        began_s = time.monotonic()
        self._latest = await self._client.table_status(timeout_s=POLL_TIMEOUT_S)
        took_s = time.monotonic() - began_s
        self._pace.note(began_s + took_s, took_s)
        if self._latest is not None and self._latest.entries >= self._fullest.entries:
            self._fullest = self._latest

    async def poll_if_fuller(self, counts: tuple[int, int] | None) -> None:
        """Ask for it if more entries are counted than any status had, and it is time.

        Args:
            counts: ActiveConn and InActConn; None before the first poll.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self._fullest is None or counts is None or sum(counts) <= self._fullest.entries:
            return
        if self._pace.is_due(time.monotonic()):
            await self.poll()
