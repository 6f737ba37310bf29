"""What the workers recorded, brought into the run's directory.

A part is taken from this host's disk where it is there (workers of ours, or a path that all
share), else from its worker, else, if that is lost, from another worker of its host.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.recording.directory.files import hidden_until_whole
from analyzer.recording.directory.layout import CAPTURE
from loadgen.capture.shift import shift_capture
from loadgen.cluster import remote
from loadgen.cluster.connection import WorkerLost
from loadgen.cluster.messages import PartFile, part_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from loadgen.cluster.crew import Crew
    from loadgen.cluster.progress import WorkerProgress

REJOIN_S = 30.0
"""How long a lost worker's host has to come back with another worker: its nanny starts one, but
where the scheduler was lost, whatever keeps Dask's workers running."""

_LOOK_EVERY_S = 1.0
_MOST_FILES = 100_000
_PART = re.compile(r"requests/part-[0-9]{5,9}\.parquet")
_CAPTURE = re.compile(r"capture(-[0-9]{5,9})?\.pcap")


class Gathering:
    """Fetches each worker's part once.

    Args:
        crew: the cluster.
        run: the run's directory.
    """

    def __init__(self, crew: Crew, run: Path) -> None:
        self._crew = crew
        self._run = run
        self._captures = 0
        self._until_s = time.monotonic() + REJOIN_S

    async def fetch(self, worker: WorkerProgress) -> int | None:
        """Fetch a worker's part; how many requests it sent, None if the part cannot be had.

        Raises:
            OSError: this host's disk takes it not.
        """
        if self._is_here(worker):
            return self._take(worker)
        address = await self._who_has(worker)
        if address is None:
            return None
        try:
            return await self._copy(worker, address)
        except WorkerLost:
            return None

    def _is_here(self, worker: WorkerProgress) -> bool:
        """Whether the part is on this host's disk; its name holds an id that only this run has."""
        folder = Path(worker.folder)
        expected = part_name(self._crew.run, worker.member.number)
        return folder.name == expected and folder.is_dir() and not folder.is_symlink()

    def _take(self, worker: WorkerProgress) -> int:
        sent = 0
        for file in remote.part_files(worker.folder) or []:
            target = self._target(worker, file.path)
            if target is None:
                continue
            target.parent.mkdir(exist_ok=True)
            shutil.move(Path(worker.folder) / file.path, target)
            sent += self._finish(worker, target)
        remote.remove(worker.folder)
        return sent

    async def _who_has(self, worker: WorkerProgress) -> str | None:
        """A worker that can read the part: its own, or another of its host."""
        ours = worker.member.worker
        while True:
            try:
                found = await self._crew.cluster.workers()
            except WorkerLost:
                found = []
            same = [each.address for each in found if each.host == ours.host]
            for address in sorted(same, key=lambda each: each != ours.address):
                if await self._files(worker, address) is not None:
                    return address
            if worker.why is None or time.monotonic() > self._until_s:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _files(self, worker: WorkerProgress, address: str) -> list[PartFile] | None:
        try:
            answer = await self._crew.cluster.run(address, remote.part_files, worker.folder)
        except WorkerLost:
            return None
        if not isinstance(answer, list):
            return None
        return [file for file in answer[:_MOST_FILES] if isinstance(file, PartFile)]

    async def _copy(self, worker: WorkerProgress, address: str) -> int:
        sent = 0
        for file in await self._files(worker, address) or []:
            target = self._target(worker, file.path)
            if target is None:
                continue
            target.parent.mkdir(exist_ok=True)
            with hidden_until_whole(target) as hidden, hidden.open("wb") as out:
                async for piece in self._pieces(worker, address, file):
                    out.write(piece)
            sent += self._finish(worker, target)
        await self._crew.cluster.run(address, remote.remove, worker.folder)
        return sent

    async def _pieces(
        self, worker: WorkerProgress, address: str, file: PartFile
    ) -> AsyncIterator[bytes]:
        offset = 0
        while offset < file.bytes:
            piece = await self._crew.cluster.run(
                address, remote.read_file, worker.folder, file.path, offset
            )
            if not isinstance(piece, bytes) or not piece:
                raise WorkerLost("a worker's file ended before its time")
            yield piece
            offset += len(piece)

    def _target(self, worker: WorkerProgress, path: str) -> Path | None:
        """Where a file of a part goes; None for one that is no such file."""
        if _PART.fullmatch(path):
            number = worker.member.number
            return self._run / "requests" / f"worker-{number:04d}-{Path(path).name}"
        if _CAPTURE.fullmatch(path):
            number, self._captures = self._captures, self._captures + 1
            return self._run / (f"capture-{number:05d}.pcap" if number else CAPTURE)
        return None

    def _finish(self, worker: WorkerProgress, target: Path) -> int:
        """A capture gets our clock; of rows, how many are requests that were sent."""
        if target.suffix == ".pcap":
            shift_capture(target, -worker.member.offset.offset_ns)
            return 0
        return _sent_in(target)


def _sent_in(part: Path) -> int:
    """Requests begun, by a part's rows; 0 of one that cannot be read, which the reader names."""
    try:
        rows = pq.read_table(part, columns=["started", "followed"])
    except (pa.ArrowException, OSError, ValueError):
        return 0
    counted = pa.compute.and_(rows["started"].is_valid(), rows["followed"].is_null())
    return int(pa.compute.sum(counted).as_py() or 0)


async def gather(
    crew: Crew, run: Path, workers: list[WorkerProgress], say: Callable[[str], None]
) -> None:
    """Fetch the part of each worker; one whose part cannot be had counts as lost."""
    gathering = Gathering(crew, run)
    for worker in sorted(workers, key=lambda each: each.why is not None):  # the lost may rejoin
        try:
            worker.gathered = await gathering.fetch(worker)
        except OSError:
            worker.gathered = None
        if worker.gathered is None and worker.lose("not gathered"):
            say(worker.line)
