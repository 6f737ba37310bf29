"""The capture on this host: an activity with a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
import time
from typing import TYPE_CHECKING, Any

from analyzer.recording.hosts import CLIENT
from analyzer.units import NS_PER_S
from loadgen.capture.events import CaptureEvents
from loadgen.capture.files import PcapFiles
from loadgen.capture.filters import expression, link_type
from loadgen.capture.model import SNAP_BYTES, CapturePlan
from loadgen.capture.sources import open_source

if TYPE_CHECKING:
    from loadgen.capture.model import EventSink

_WAIT_S = 0.2
_COUNT_EVERY_S = 1.0
_DOWN_S = 0.1


class Capture:
    """An activity that writes packets while the run is on.

    Args:
        interface: to listen on.
        plan: what is wanted, and where it goes.
        record_event: takes a row of ``events/``.

    Attributes:
        packets: captured.
        dropped: lost for want of room, as the kernel counts them.

    Raises:
        CaptureRefused: no privilege, no such interface.
    """

    def __init__(self, interface: str, plan: CapturePlan, record_event: EventSink) -> None:
        self.interface = interface
        self.filter = expression(plan.targets)
        self.packets = 0
        self.dropped = 0
        self._plan = plan
        self._events = CaptureEvents(CLIENT, plan, record_event)
        self._link_type = link_type(interface)
        self._source = open_source(interface, self.filter, plan.captured_with)
        self._counted_ns = time.time_ns()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Capture:
        files = PcapFiles(
            self._plan.path, self._link_type, self._plan.size_bytes, self._events.deleted
        )
        self._events.begin(asyncio.get_running_loop())
        self._thread = threading.Thread(target=self._run, args=(files,), name="capture")
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def done(self) -> None:
        """A capture never ends a run, and never holds one up."""

    def manifest(self) -> dict[str, Any]:
        """The capture's part of ``run.json``."""
        return {
            "host": CLIENT,
            "interface": self.interface,
            "with": self._source.name,
            "filter": self.filter,
            "snap_bytes": SNAP_BYTES,
            "packets": self.packets,
            "dropped": self.dropped,
            "failure": self._events.failure,
        }

    @property
    def has_deleted(self) -> bool:
        """Whether its oldest packets made room for new ones."""
        return self._events.has_deleted

    def not_measured(self) -> list[dict[str, str]]:
        """What went missing, for the manifest."""
        return self._events.not_measured()

    def _run(self, files: PcapFiles) -> None:
        with contextlib.closing(self._source), files:
            try:
                while not self._ended.is_set():
                    self._take(files)
                self._empty(files, time.time_ns())
            except OSError as error:
                self._events.stopped(str(error))
            self._count_drops()
        self.packets = files.packets

    def _take(self, files: PcapFiles) -> bool:
        """What comes within ``_WAIT_S``, and whether there was any; the drops once a second."""
        try:
            taken = self._source.take(files, _WAIT_S)
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            self._events.interface_down(self.interface)
            taken = not self._ended.wait(_DOWN_S)  # it may come back
        if time.time_ns() - self._counted_ns >= _COUNT_EVERY_S * NS_PER_S:
            self._count_drops()
        return taken

    def _empty(self, files: PcapFiles, until_ns: int) -> None:
        """What the kernel had seen before the end, and no more under a flood."""
        while files.last_ns < until_ns and self._take(files):
            pass

    def _count_drops(self) -> None:
        since_ns, self._counted_ns = self._counted_ns, time.time_ns()
        with contextlib.suppress(OSError):
            if lost := self._source.dropped():
                self.dropped += lost
                self._events.dropped(lost, since_ns, self._counted_ns)
