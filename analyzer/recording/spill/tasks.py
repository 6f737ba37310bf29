"""Tasks for other processes: what lies in files is handed over by its file's name.

A task is a function of a module and its arguments. Arrays of columns, and what was read of
captures, are written as their file and place; everything else as it is.
"""

from __future__ import annotations

import io
import pickle
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from analyzer.parts.inputs import Copied, part_of
from analyzer.parts.mapped import MappedFile, mapped, mapped_file_of, place_of
from analyzer.recording.spill.buckets import FileBucket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Executor

    from analyzer.parts import Columns

Result = TypeVar("Result")

_CAPTURE, _COLUMN, _VALUE = "capture", "column", "value"
_IN_FLIGHT = 2
"""Tasks for each worker at a time: while one runs, the next is on its way."""


class Workers(Protocol):
    """Processes that run tasks, here or on other hosts."""

    @property
    def count(self) -> int:
        """How many there are."""

    @property
    def in_order(self) -> bool:
        """Whether they begin tasks in order, on this host: a task may wait for those before it."""

    def sees(self, folder: Path) -> bool:
        """Whether all of them see the files of a folder under the same names."""

    def executor(self) -> Executor:
        """Where tasks run; started when it is first asked for."""

    def answer(self, running: Future[bytes]) -> bytes:
        """The result of a task; an error of ours where a worker was lost."""


def in_other_processes(
    workers: Workers,
    function: Callable[..., Result],
    tasks: Iterable[tuple[Any, ...]],
) -> Iterator[Result]:
    """What a function returns for each task's arguments, in their order.

    Args:
        workers: run them.
        function: of a module, or a partial of one.
        tasks: are made as they are needed.
    """
    executor, sees = workers.executor(), cache(workers.sees)
    running = deque[Any]()
    try:
        for task in tasks:
            running.append(_submitted(executor, dumps((function, task), sees)))
            if len(running) >= _IN_FLIGHT * workers.count:
                yield pickle.loads(workers.answer(running.popleft()))  # noqa: S301 - a worker's
        while running:
            yield pickle.loads(workers.answer(running.popleft()))  # noqa: S301
    finally:
        for left in running:
            left.cancel()


def _submitted(executor: Executor, payload: bytes) -> Future[bytes]:
    """A task that runs, or has failed at once: a worker may have been lost before."""
    try:
        return executor.submit(run, payload)
    except RuntimeError as error:  # BrokenExecutor is one
        failed: Future[bytes] = Future()
        failed.set_exception(error)
        return failed


def run(payload: bytes) -> bytes:
    """A task, in the process that it was handed to; its result, written."""
    function, task = loads(payload)
    return pickle.dumps(function(*task), protocol=pickle.HIGHEST_PROTOCOL)


def dumps(value: object, sees: Callable[[Path], bool]) -> bytes:
    """A value; of mapped files the names, or as much of them as the value has.

    Args:
        value: a function and its arguments.
        sees: whether who reads it has the files of a folder.
    """
    written = io.BytesIO()
    _Pickler(written, sees).dump(value)
    return written.getvalue()


def mapped_files(value: object) -> list[MappedFile]:
    """The mapped files that arrays of a value lie in, each once."""
    finder = _Finder(io.BytesIO(), lambda folder: True)
    finder.dump(value)
    return list(finder.found.values())


def loads(payload: bytes) -> Any:
    """What ``dumps`` wrote, on a host that has the same files."""
    return _Unpickler(io.BytesIO(payload)).load()


@dataclass(frozen=True, slots=True)
class Read:
    """A bucket that has been read."""

    columns: Columns

    def read(self) -> Columns:
        """All rows."""
        return self.columns


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, sees: Callable[[Path], bool]) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._sees = sees

    def persistent_id(self, obj: object) -> Any:
        if isinstance(obj, memoryview):
            content: Any = obj.obj
            if not isinstance(content, Copied) or not self._sees(content.file.path.parent):
                return _VALUE, bytes(obj)
            first = content.first + place_of(obj, content)
            return _CAPTURE, content.file.name(), first, len(obj)
        if isinstance(obj, FileBucket):
            is_seen = all(self._sees(piece.path.parent) for piece in obj.pieces)
            return None if is_seen else (_VALUE, Read(obj.read()))
        if not isinstance(obj, np.ndarray) or obj.ndim != 1 or not obj.flags.c_contiguous:
            return None
        file = mapped_file_of(obj)
        if file is None or not len(obj) or not self._sees(file.path.parent):
            return None
        return _COLUMN, str(file.path), place_of(obj, file), len(obj), obj.dtype.str


class _Finder(_Pickler):
    """Goes through a value as if it were handed over, and keeps the files that it comes to."""

    def __init__(self, file: io.BytesIO, sees: Callable[[Path], bool]) -> None:
        super().__init__(file, sees)
        self.found: dict[int, MappedFile] = {}

    def persistent_id(self, obj: object) -> Any:
        file = mapped_file_of(obj) if isinstance(obj, np.ndarray) else None
        if file is not None:
            self.found[id(file)] = file
        return super().persistent_id(obj)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._files: dict[str, memoryview] = {}

    def persistent_load(self, pid: Any) -> Any:
        kind, path, *place = pid
        if kind == _VALUE:
            return memoryview(path) if isinstance(path, bytes) else path
        if kind == _CAPTURE:
            return part_of(path, *place)
        if path not in self._files:
            self._files[path] = mapped(Path(path))
        first, count, *dtype = place
        return np.frombuffer(self._files[path], np.dtype(*dtype), count, first)
