"""The events of a capture, and what it could not keep."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from analyzer.units import NS_PER_S
from loadgen.capture.files import clock_time

if TYPE_CHECKING:
    import asyncio

    from loadgen.capture.files import Deleted
    from loadgen.capture.model import CapturePlan, EventSink

NO_PACKETS = "packets, and so every prediction"


class CaptureEvents:
    """A capture's events, reported from whichever thread it has.

    Args:
        host: where the capture stands, as it is called in ``events/``.
        plan: of the capture.
        record_event: takes a row of ``events/``; called in the loop's own thread.

    Attributes:
        failure: why the capture stopped before the run's end; None if it did not.
    """

    def __init__(self, host: str, plan: CapturePlan, record_event: EventSink) -> None:
        self._host = host
        self._plan = plan
        self._record_event = record_event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped_ns = 0
        self._forgotten_ns: int | None = None
        self.failure: str | None = None
        self._refusal: str | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on ``loop`` turns."""
        self._loop = loop

    def dropped(self, packets: int, since_ns: int, until_ns: int) -> None:
        """The kernel had no room; ``at`` is the end of the time range."""
        within_s = (until_ns - since_ns) / NS_PER_S
        self._append("capture-drop", f"{packets} packets within {within_s:.2f} s", until_ns)

    def deleted(self, file: Deleted) -> None:
        """A file had to make room for new packets."""
        self._forgotten_ns = file.last_ns
        until = clock_time(file.last_ns)
        self._append("capture-deleted", f"{file.name}: {file.packets} packets up to {until}")

    def interface_down(self, interface: str) -> None:
        """Nothing can be seen until the interface is up again."""
        self._append("capture-interface-down", interface)

    def stopped(self, why: str) -> None:
        """The capture ended before the run did."""
        self.failure = why
        self._stopped_ns = time.time_ns()
        self._append("capture-stopped", why)

    def refused(self, why: str) -> None:
        """There is no capture."""
        self._refusal = why

    @property
    def has_deleted(self) -> bool:
        """Whether a file had to make room for new packets."""
        return self._forgotten_ns is not None

    def not_measured(self) -> list[dict[str, str]]:
        """Rows of the manifest's ``not_measured``."""
        rows = []
        if self._forgotten_ns is not None:
            why = f"the capture is kept below {self._plan.size_bytes} bytes (--capture-size)"
            rows.append({"what": f"packets before {clock_time(self._forgotten_ns)}", "why": why})
        if self.failure is not None:
            what = f"packets from {clock_time(self._stopped_ns)} on"
            rows.append({"what": what, "why": f"the capture stopped: {self.failure}"})
        if self._refusal is not None:
            rows.append({"what": NO_PACKETS, "why": self._refusal})
        return rows

    def _append(self, kind: str, detail: str, at_ns: int | None = None) -> None:
        at = time.time_ns() if at_ns is None else at_ns
        row = {"at": at, "host": self._host, "kind": kind, "detail": detail}
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._record_event, row)
