"""Files that somebody else may write to, cut off, rename or delete while they are read.

None is ever mapped: to read from a map what has been cut off is SIGBUS, which ends the process.
"""

from __future__ import annotations

import errno
import os
import stat
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.errors import RecordingError

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe has no size, and nobody waits for it


@dataclass(frozen=True, slots=True)
class FileName:
    """A file that a process has open, for other processes.

    Attributes:
        path: its name when it was opened.
        process, descriptor: how that process has it.
        inode: what it is there: a device and a number.
    """

    path: str
    process: int
    descriptor: int
    inode: tuple[int, int]


class InputFile:
    """A file, as long as it was when it was opened; parts of it are read into memory of our own.

    It stays open, so one that is renamed or deleted is still read.

    Attributes:
        path: its name when it was opened, absolute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._descriptor = os.open(path, _FLAGS)
        weakref.finalize(self, os.close, self._descriptor)
        self._status = os.fstat(self._descriptor)
        if stat.S_ISDIR(self._status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))

    def __len__(self) -> int:
        return self._status.st_size

    def fileno(self) -> int:
        """The descriptor; its position is at the beginning, always."""
        return self._descriptor

    def read(self, first: int, last: int) -> memoryview:
        """A part: shorter where the file was cut off since, or cannot be read any more."""
        made = np.empty(max(min(last, len(self)) - first, 0), dtype=np.uint8).view(Copied)
        made.file, made.first = self, first
        return made.data[: _read_into(self._descriptor, made.data, first)]

    def name(self) -> FileName:
        """How other processes open it."""
        inode = self._status.st_dev, self._status.st_ino
        return FileName(str(self.path), os.getpid(), self._descriptor, inode)


class Copied(np.ndarray[tuple[int], np.dtype[np.uint8]]):
    """Bytes of a file, in memory; ``file`` and ``first`` say where they are from."""

    file: InputFile
    first: int


Content = memoryview | InputFile
"""A capture's bytes, in memory or in a file."""


def opened(path: Path) -> InputFile:
    """A file, to be read in parts.

    Raises:
        RecordingError: it cannot be read.
    """
    try:
        return InputFile(path)
    except OSError as error:
        raise RecordingError(f"{path}: not readable: {error.strerror}") from error


def part_of(name: FileName, first: int, count: int) -> memoryview:
    """A part of a file that another process has open: empty where it is gone for us.

    On that process' host it is read as it is open there, whatever its name stands for by now.
    """
    made = np.empty(count, dtype=np.uint8)
    try:
        descriptor = os.open(_path_here(name), _FLAGS)
    except OSError:
        return made.data[:0]
    try:
        return made.data[: _read_into(descriptor, made.data, first)]
    finally:
        os.close(descriptor)


def _path_here(name: FileName) -> Path:
    there = Path(f"/proc/{name.process}/fd/{name.descriptor}")
    try:
        found = there.stat()
    except OSError:  # another host, or no process of ours
        return Path(name.path)
    return there if (found.st_dev, found.st_ino) == name.inode else Path(name.path)


def _read_into(descriptor: int, room: Any, first: int) -> int:
    """How many bytes from there on could be read."""
    count = 0
    try:
        while count < len(room) and (got := os.preadv(descriptor, [room[count:]], first + count)):
            count += got
    except OSError:
        pass  # a disk or a server that fails: what is missing is counted as if it was cut off
    return count
