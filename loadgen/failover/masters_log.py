"""What keepalived wrote on a lab's directors while a run was on: the log of states."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

from loadgen.session.background import Background

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.directory import RecordingWriter
    from loadgen.lab.lab import Lab

LOG = "keepalived.log"
READ_EVERY_S = 0.2
_ABOUT_STATES = re.compile(
    r"Entering \w+ STATE|sent 0 priority|Netlink reports|received lower|higher prio|BFD"
)
_DATE = re.compile(r"^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}: ")
_MOST_BYTES = 1 << 16
_MOST_CHARACTERS = 200


class MastersLog(Background):
    """An activity that copies lines about states as events, when they appear in the log."""

    def __init__(self, lab: Lab, recording: RecordingWriter) -> None:
        self._files = {name: lab.directory / name / LOG for name in lab.director_names}
        self._read = {name: _size(path) for name, path in self._files.items()}
        self._recording = recording

    async def _run(self) -> None:
        while True:
            self._copy()
            await asyncio.sleep(READ_EVERY_S)

    async def _end(self) -> None:
        self._copy()

    def _copy(self) -> None:
        for name, path in self._files.items():
            for line in self._new_lines(name, path):
                if _ABOUT_STATES.search(line):
                    detail = _DATE.sub("", line)[:_MOST_CHARACTERS]
                    row = {"at": time.time_ns(), "host": name, "kind": "keepalived"}
                    self._recording.append("events", row | {"detail": detail})

    def _new_lines(self, name: str, path: Path) -> list[str]:
        """The whole lines that have come since the last read; a boot may begin a log anew."""
        begin = min(self._read[name], _size(path))
        try:
            with path.open("rb") as file:
                file.seek(begin)
                content = file.read(_MOST_BYTES)
        except OSError:
            return []
        whole = content[: content.rfind(b"\n") + 1]
        self._read[name] = begin + len(whole)
        return whole.decode("utf-8", "replace").splitlines()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
