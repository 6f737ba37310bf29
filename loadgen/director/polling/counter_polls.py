"""Polls of the real servers' counters, less often than those of services and entries."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from analyzer.ipvs.versions import why_counters_stand_still
from loadgen.director.links.shell import AnswerTooLong, LinkLost
from loadgen.director.polling.pace import ASK_AGAIN_S, POLL_TIMEOUT_S, Pace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadgen.director.counters import Counters, ServerKey
    from loadgen.director.links.client import DirectorClient
    from loadgen.director.links.snapshot import Snapshot
    from loadgen.director.polling.events import DirectorEvents

COUNTERS_EVERY_S = 5.0


class CounterPolls:
    """The counters of one director.

    Attributes:
        latest: as last given; empty before, or where they are not to be had.
        latest_s: when that was, on the monotonic clock.
        of_this_poll: those that belong to the present poll; None where it has none.
    """

    def __init__(
        self,
        client: DirectorClient,
        events: DirectorEvents,
        kernel: str | None,
        director_cpu: float,
    ) -> None:
        self.latest: Mapping[ServerKey, Counters] = {}
        self.latest_s = 0.0
        self.of_this_poll: Mapping[ServerKey, Counters] | None = None
        self._client = client
        self._events = events
        self._kernel = kernel
        self._pace = Pace(director_cpu / 2, COUNTERS_EVERY_S)

    def why_missing(self, sysctl: Mapping[str, str]) -> str | None:
        """Why there are no counters; None where there are."""
        if self.latest:
            return None
        if self._client.source.kind == "netfilter":
            return "connection tracking counts nothing for each real server"
        return self._why_outdated(sysctl) or "it has no ipvsadm that we may run"

    async def poll(self, snapshot: Snapshot, sysctl: Mapping[str, str]) -> LinkLost | None:
        """Take the counters that came with a snapshot, or ask for them if it is time.

        Returns:
            What went wrong: the snapshot itself is to be recorded all the same.
        """
        self.of_this_poll = None
        if self._why_outdated(sysctl):
            return None
        self.of_this_poll = snapshot.counters
        if snapshot.counters is None and self._pace.is_due(time.monotonic()):
            try:
                await self._ask()
            except LinkLost as error:
                return error
        if self.of_this_poll:
            self.latest, self.latest_s = self.of_this_poll, time.monotonic()
        return None

    async def _ask(self) -> None:
        began_s = time.monotonic()
        try:
            table = await self._client.counters(timeout_s=POLL_TIMEOUT_S)
        except AnswerTooLong:
            self._pace.note(time.monotonic() + ASK_AGAIN_S, 0.0)
            raise
        self.of_this_poll = table.counters if table else None
        self._events.note_unread("counters", table.unread if table else 0)
        took_s = self._events.took_s("counters", began_s)
        wait_s = ASK_AGAIN_S if table is None else 0.0
        self._pace.note(began_s + took_s + wait_s, took_s)

    def _why_outdated(self, sysctl: Mapping[str, str]) -> str | None:
        return why_counters_stand_still(self._kernel, sysctl)
