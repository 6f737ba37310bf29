"""Rows that several processes write: each task's in its place, and nobody waits for ever."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from analyzer.errors import RecordingError
from analyzer.parts import IN_MEMORY, Dealt, Rows, by_stretches
from analyzer.recording.spill import Means, Spill, spilled
from analyzer.recording.spill.turns import Filling
from loadgen.session.means.workers import LocalWorkers
from tests.memory import memory_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from pathlib import Path

    from analyzer.parts import Store
    from analyzer.recording.spill.files import FileColumns

SIZES = [3, 0, 2, 5, 1]


class Threads(LocalWorkers):
    """Workers that need no start."""

    def __init__(self, pool: Executor) -> None:
        super().__init__(2)
        self._pool = pool

    def executor(self) -> Executor:
        return self._pool


@pytest.fixture
def means() -> Iterator[Means]:
    with ThreadPoolExecutor(2) as pool:
        yield Means(workers=Threads(pool))


def made(size: int) -> Rows[int]:
    if size < 0:
        raise ValueError("a fault")
    kind = np.int64 if size != SIZES[2] else np.int32
    columns: dict[str, Any] = {"number": np.arange(size), "size": np.full(size, size, dtype=kind)}
    return Rows(columns if size else {}, size, "number", size)


def dealt(size: int) -> Dealt:
    return Dealt(np.arange(size) % 2, {"size": np.full(size, size)})


def kept_apart(store: Store, size: int) -> tuple[Path | None, list[int]]:
    """Where a task's store is, and a column that it kept."""
    column = by_stretches(store, size, lambda rows: np.arange(size)[rows])
    if size == SIZES[-1]:
        raise ValueError("a fault")
    return store.folder if isinstance(store, Spill) else None, column.tolist()


def test_each_task_has_a_store_of_its_own_which_goes_with_it(tmp_path: Path, means: Means) -> None:
    with spilled(tmp_path, means=means) as store:
        found = list(store.apart(kept_apart, ((size,) for size in SIZES[:4])))
        assert [column for _, column in found] == [list(range(size)) for size in SIZES[:4]]
        folders = {folder for folder, _ in found}
        assert (len(folders), {folder.parent for folder in folders if folder}) == (
            4,
            {store.folder},
        )
        with pytest.raises(ValueError, match="a fault"):
            list(store.apart(kept_apart, ((size,) for size in SIZES)))
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def file_bytes() -> int:
    """Of mapped files in memory."""
    return memory_bytes("RssFile")


def released(store: Store, columns: dict[str, Any]) -> tuple[int, int]:
    """How much of a task's columns came into memory, and how much its store took out again."""
    before = file_bytes()
    assert columns["number"].sum() > 0
    read = file_bytes()
    store.release()
    return read - before, read - file_bytes()


def test_a_tasks_own_store_releases_the_columns_that_the_task_was_given(
    tmp_path: Path, means: Means
) -> None:
    with spilled(tmp_path, means=means) as store:
        number = by_stretches(store, 1 << 21, lambda rows: np.arange(1 << 21)[rows])
        ((came, went),) = store.apart(released, [({"number": number},)])
    assert came > 8 << 20
    assert went > 8 << 20


def test_a_store_without_workers_that_see_it_is_each_tasks_own(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        assert list(store.apart(kept_apart, [(2,)])) == [(store.folder, [0, 1])]
    assert list(IN_MEMORY.apart(kept_apart, [(2,)])) == [(None, [0, 1])]


def test_rows_are_in_the_order_of_their_tasks_and_numbered_on(tmp_path: Path, means: Means) -> None:
    with spilled(tmp_path, means=means) as store:
        writer = store.columns()
        assert list(store.fill(writer, made, ((size,) for size in SIZES))) == SIZES
        assert not cast("FileColumns", writer).files  # others have written them
        found = writer.finish()
        assert found["number"].tolist() == list(range(sum(SIZES)))
        assert found["size"].tolist() == np.repeat(SIZES, SIZES).tolist()
        assert found["size"].dtype == np.int64  # of the first that has rows
        assert len(list(store.folder.iterdir())) == 3  # the lock, and a file for each column


def test_columns_without_any_task_or_row_are_none(tmp_path: Path, means: Means) -> None:
    with spilled(tmp_path, means=means) as store:
        for tasks in ([], [(0,), (0,)]):
            writer = store.columns()
            assert list(store.fill(writer, made, tasks)) == [0 for _ in tasks]
            assert writer.finish() == {}


def test_buckets_have_the_rows_in_the_order_of_their_tasks(tmp_path: Path, means: Means) -> None:
    with spilled(tmp_path, means=means) as store:
        buckets = store.deal(2, dealt, ((size,) for size in SIZES))
        assert buckets.bucket(0).read()["size"].tolist() == [3, 3, 2, 5, 5, 5, 1]
        assert buckets.bucket(1).read()["size"].tolist() == [3, 2, 5, 5]


def test_a_task_that_fails_fails_those_after_it(tmp_path: Path, means: Means) -> None:
    with spilled(tmp_path, means=means) as store:
        rest = store.fill(store.columns(), made, ((size,) for size in (2, -1, 2)))
        assert next(rest) == 2
        with pytest.raises(ValueError, match="a fault"):
            next(rest)
    filling = Filling(made, tmp_path / "000000")
    with pytest.raises(ValueError, match="a fault"):
        filling(0, -1)
    with pytest.raises(RecordingError, match="a part before this one"):
        filling(1, 2)


def test_a_task_does_not_wait_in_a_folder_that_is_gone(tmp_path: Path) -> None:
    def given_up(size: int) -> Rows[int]:
        (tmp_path / "000000-turns").unlink()
        return made(size)

    with pytest.raises(RecordingError, match="a part before this one"):
        Filling(given_up, tmp_path / "000000")(1, 2)


def test_a_full_disk_is_one_clear_error_of_the_task(tmp_path: Path) -> None:
    (tmp_path / "000000.number").symlink_to("/dev/full")
    with pytest.raises(RecordingError, match="cannot be written: No space left on device"):
        Filling(made, tmp_path / "000000")(0, 2)
