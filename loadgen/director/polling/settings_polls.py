"""Polls of a director's settings and, between those, of its timeouts; each change is an event."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from loadgen.director.polling.pace import ASK_AGAIN_S, POLL_TIMEOUT_S, Pace
from loadgen.director.settings import TIMEOUT_EVENTS, changes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from loadgen.director.links.client import DirectorClient
    from loadgen.director.polling.events import DirectorEvents
    from loadgen.director.polling.table_polls import TablePolls
    from loadgen.director.settings import DirectorSettings

SETTINGS_EVERY_S = 10.0
"""Timeouts, sysctls, addresses and roles; the director's ipvsadm and ip are run for them."""

TIMEOUTS_EVERY_S = 2.5
"""The timeouts alone: entries show a change of them only with their next packet."""


class SettingsPolls:
    """The settings of one director; the status of its table is read with them."""

    def __init__(
        self,
        client: DirectorClient,
        events: DirectorEvents,
        table: TablePolls,
        at_start: DirectorSettings | None,
        director_cpu: float,
    ) -> None:
        """``at_start`` are the settings before the run: changes are found against them."""
        self._client = client
        self._events = events
        self._table = table
        self._settings = at_start
        self._polled_ns: int | None = None
        self._pace = Pace(director_cpu / 2, SETTINGS_EVERY_S)
        self._timeouts_pace = Pace(director_cpu / 4, TIMEOUTS_EVERY_S)
        for pace in (self._pace, self._timeouts_pace):
            pace.note(time.monotonic(), 0.0)

    @property
    def sysctl(self) -> Mapping[str, str]:
        """The sysctls as last read; empty before."""
        return self._settings.sysctl if self._settings else {}

    async def poll_if_due(self, vips: Collection[str]) -> bool:
        """Read the settings, or the timeouts alone, if it is time; whether it was.

        Args:
            vips: addresses of the services: which of them the director has is one of its settings.

        Raises:
            LinkLost: no whole answer in time.
        """
        if self._pace.is_due(time.monotonic()):
            await self._poll(vips)
        elif self._timeouts_pace.is_due(time.monotonic()):
            await self._poll_timeouts(vips)
        else:
            return False
        return True

    async def _poll(self, vips: Collection[str]) -> None:
        began_s, began_ns = time.monotonic(), time.time_ns()
        settings = await self._client.director_settings(timeout_s=POLL_TIMEOUT_S)
        await self._table.poll()
        took_s = self._events.took_s("timeouts, sysctls and addresses", began_s)
        self._pace.note(began_s + took_s, took_s)
        self._timeouts_pace.note(began_s + took_s, took_s)
        self._note_changes(settings, began_ns, vips)

    async def _poll_timeouts(self, vips: Collection[str]) -> None:
        """The timeouts alone; a director that does not give them is asked less often."""
        began_s, began_ns = time.monotonic(), time.time_ns()
        settings = self._settings and await self._client.with_timeouts(
            self._settings, timeout_s=POLL_TIMEOUT_S
        )
        took_s = self._events.took_s("timeouts", began_s)
        wait_s = ASK_AGAIN_S if settings is None else 0.0
        self._timeouts_pace.note(began_s + took_s + wait_s, took_s)
        if settings is not None:
            self._note_changes(settings, began_ns, vips)

    def _note_changes(
        self, settings: DirectorSettings, began_ns: int, vips: Collection[str]
    ) -> None:
        """Events of what has changed; timeouts did so after they were last asked for."""
        of_timeouts = TIMEOUT_EVENTS[self._client.source.kind]
        if self._settings is not None:
            for kind, detail in changes(self._settings, settings, vips):
                since_ns = self._polled_ns if kind in of_timeouts else None
                self._events.note(kind, detail, since_ns=since_ns)
        self._settings, self._polled_ns = settings, began_ns
