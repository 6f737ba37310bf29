"""What the workers recorded, brought into the run's directory.

A part is taken from this host's disk where it is there (workers of ours, or a path that all
share), else from its worker, else, if that is lost, from another worker of its host.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.recording.directory.files import hidden_until_whole
from analyzer.recording.directory.layout import CAPTURE, capture_files
from loadgen.capture.shift import shift_capture
from loadgen.cluster.connection import WorkerLost
from loadgen.cluster.worker import remote
from loadgen.cluster.worker.messages import PartFile, part_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from loadgen.cluster.crew import Crew
    from loadgen.cluster.progress import WorkerProgress

REJOIN_S = 30.0
"""How long a lost worker's host has to come back with another worker: its nanny starts one, but
where the scheduler was lost, whatever keeps Dask's workers running."""

CLOSING_S = 15.0
"""How long a worker that ends may take to close its part: the engine has 10 s of it."""

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
        self._until_s = time.monotonic() + REJOIN_S

    async def fetch(self, worker: WorkerProgress) -> bool:
        """Fetch a worker's part, file by file; whether all of it is here.

        The requests in each file that has come are counted in ``worker.gathered`` at once, so that
        what stands in the run's directory is counted whatever becomes of the next file.
        """
        try:
            if self._is_here(worker):
                await self._until_closed(worker)
                return self._take(worker)
            found = await self._who_has(worker)
            return found is not None and await self._copy(worker, *found)
        except (OSError, WorkerLost):  # this host's disk, or the worker
            return False

    def _is_here(self, worker: WorkerProgress) -> bool:
        """Whether the part is on this host's disk; its name holds an id that only this run has."""
        folder = Path(worker.folder)
        expected = part_name(self._crew.run, worker.member.number)
        return folder.name == expected and folder.is_dir() and not folder.is_symlink()

    async def _until_closed(self, worker: WorkerProgress) -> None:
        """Let a worker that ends because its scheduler did bring its last rows to disk."""
        end_s = time.monotonic() + CLOSING_S
        while worker.why == "scheduler" and not remote.is_closed(worker.folder):
            if time.monotonic() > end_s:
                return
            await asyncio.sleep(_LOOK_EVERY_S / 10)

    def _take(self, worker: WorkerProgress) -> bool:
        for file in remote.part_files(worker.folder) or []:
            with self._finished(worker, file) as hidden:
                if hidden is not None:
                    shutil.move(Path(worker.folder) / file.path, hidden)
        worker.gathered = worker.gathered or 0
        remote.remove(worker.folder)
        return True

    async def _who_has(self, worker: WorkerProgress) -> tuple[str, list[PartFile]] | None:
        """A worker that can read the part, its own or another of its host, and the part's files."""
        ours = worker.member.worker
        while True:
            try:
                found = await self._crew.cluster.workers()
            except WorkerLost:
                found = []
            same = [each.address for each in found if each.host == ours.host]
            for address in sorted(same, key=lambda each: each != ours.address):
                files = await self._files(worker, address)
                if files is not None:
                    return address, files
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

    async def _copy(self, worker: WorkerProgress, address: str, files: list[PartFile]) -> bool:
        for file in files:
            with self._finished(worker, file) as hidden:
                if hidden is None:
                    continue
                with hidden.open("wb") as out:
                    async for piece in self._pieces(worker, address, file):
                        out.write(piece)
        worker.gathered = worker.gathered or 0
        with suppress(WorkerLost):  # all of it is here; a copy that stays there costs only room
            await self._crew.cluster.run(address, remote.remove, worker.folder)
        return True

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

    @contextmanager
    def _finished(self, worker: WorkerProgress, file: PartFile) -> Iterator[Path | None]:
        """A hidden name to bring a file under; None for a file that is none of a part.

        Without an error meanwhile it gets its own name, and its requests are counted; a capture
        has our clock by then.
        """
        target = self._target(worker, file.path)
        if target is None:
            yield None
            return
        target.parent.mkdir(exist_ok=True)
        with hidden_until_whole(target) as hidden:
            yield hidden
            if target.suffix == ".pcap":
                shift_capture(hidden, -worker.member.offset.offset_ns)
        sent = 0 if target.suffix == ".pcap" else _sent_in(target)
        worker.gathered = (worker.gathered or 0) + sent

    def _target(self, worker: WorkerProgress, path: str) -> Path | None:
        """Where a file of a part goes; None for one that is no such file."""
        if _PART.fullmatch(path):
            number = worker.member.number
            return self._run / "requests" / f"worker-{number:04d}-{Path(path).name}"
        if _CAPTURE.fullmatch(path):
            return _next_capture(self._run)
        return None


def _next_capture(run: Path) -> Path:
    """The name of one capture more, after the last that is there."""
    taken = capture_files(run)
    if not taken:
        return run / CAPTURE
    number = int(taken[-1].stem.partition("-")[2] or 0) + 1
    return run / f"capture-{number:05d}.pcap"


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
    """Fetch the part of each worker; one whose part cannot be had, or not whole, counts as lost."""
    gathering = Gathering(crew, run)
    for worker in sorted(workers, key=lambda each: each.why is not None):  # the lost may rejoin
        worker.is_whole = await gathering.fetch(worker)
        if not worker.is_whole and worker.lose("not gathered"):
            say(worker.line)
