"""Columns that lie in files: the same rows, nothing left behind, one clear error without room."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyzer.errors import RecordingError
from analyzer.parts import IN_MEMORY, Dealt
from analyzer.recording.spill import Means, Spill, spilled, store_for, temporary_folder
from analyzer.recording.spill.buckets import Dealing, FileBuckets, Pieces, write_pieces
from analyzer.recording.spill.files import FileColumns, Mappings
from analyzer.recording.spill.folder import PREFIX, remove_stale
from analyzer.recording.spill.store import SPILLED_BYTES


def folders(run: Path) -> list[Path]:
    return list(run.glob(f"{PREFIX}*"))


def test_columns_come_back_as_they_were_added(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        writer = store.columns()
        writer.append({"at_ns": np.array([1, 2]), "odd": np.array([True, False])})
        writer.append({"at_ns": np.array([3]), "odd": np.array([True])})
        found = writer.finish()
        store.release()
        assert found["at_ns"].tolist() == [1, 2, 3]
        assert found["odd"].tolist() == [True, False, True]
        assert found["odd"].dtype == bool


def test_a_column_without_rows_is_empty_and_leaves_no_file(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        writer = store.columns()
        writer.append({"at_ns": np.zeros(0, dtype=np.int64)})
        assert writer.finish()["at_ns"].tolist() == []
        assert store.columns().finish() == {}
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def dealt(number: int) -> Dealt:
    columns = {"at": np.array([number, -number]), "flag": np.array([number == 3, False])}
    return Dealt(np.array([number % 2, 0]), columns)


def test_buckets_give_their_rows_once_in_the_order_of_their_tasks_and_leave_no_file(
    tmp_path: Path,
) -> None:
    with spilled(tmp_path) as store:
        buckets = store.deal(3, dealt, zip(range(4)))
        assert {name: one.tolist() for name, one in buckets.bucket(1).read().items()} == {
            "at": [1, 3],
            "flag": [False, True],
        }
        assert buckets.bucket(0).read()["at"].tolist() == [0, 0, -1, 2, -2, -3]
        assert buckets.bucket(2).read() == {}
        assert store.deal(1, dealt, []).bucket(0).read() == {}
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def scattered(task: int) -> Dealt:
    rows = np.arange(60)
    return Dealt((rows * (task + 1)) % 7, {"at": rows + 100 * task, "even": rows % 2 == 0})


def test_there_are_no_more_files_than_buckets_however_many_tasks_deal(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        buckets = store.deal(7, scattered, zip(range(40)))
        assert len(list(store.folder.iterdir())) == 1 + 7
        expected = IN_MEMORY.deal(7, scattered, zip(range(40)))
        assert buckets.rows() == expected.rows() == 40 * 60
        for number in reversed(range(7)):
            found, wanted = (each.bucket(number).read() for each in (buckets, expected))
            assert {name: column.tolist() for name, column in found.items()} == {
                name: column.tolist() for name, column in wanted.items()
            }
            assert len(list(store.folder.iterdir())) == 1 + number


def test_rows_that_several_wrote_at_once_come_in_the_order_of_the_tasks(tmp_path: Path) -> None:
    both_write = threading.Barrier(2)

    def write(task: int) -> Pieces:
        if task < 2:
            both_write.wait(10)
        return write_pieces(tmp_path / "000000", 7, scattered(task))

    with ThreadPoolExecutor(2) as writers:
        buckets = FileBuckets(tmp_path / "000000", list(writers.map(write, range(20))))
    assert len(list(tmp_path.iterdir())) == 2 * 7
    expected = IN_MEMORY.deal(7, scattered, zip(range(20)))
    for number in range(7):
        found, wanted = (each.bucket(number).read()["at"] for each in (buckets, expected))
        assert found.tolist() == wanted.tolist()
    assert not list(tmp_path.iterdir())


def test_a_bucket_whose_file_was_cut_off_is_an_error_and_no_wrong_rows(tmp_path: Path) -> None:
    buckets = FileBuckets(tmp_path / "a", [write_pieces(tmp_path / "a", 1, dealt(4))])
    (file,) = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(OSError, match="Input/output error"):
        buckets.bucket(0).read()


def test_a_column_that_nobody_needs_any_more_gives_its_room_back(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        writer = store.columns()
        writer.append({"at_ns": np.arange(9)})
        part = writer.finish()["at_ns"][3:]
        gc.collect()
        assert part.tolist() == list(range(3, 9))
        assert len(list(store.folder.iterdir())) == 2
        del part, writer
        gc.collect()
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def test_an_array_outlives_its_folder(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        writer = store.columns()
        writer.append({"at_ns": np.arange(9)})
        kept = writer.finish()["at_ns"]
    assert folders(tmp_path) == []
    assert kept.sum() == 36


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), spilled(tmp_path):
        raise KeyboardInterrupt
    assert folders(tmp_path) == []


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the analysis that looks."""
    return tmp_path_factory.mktemp("own")


def test_what_a_killed_analysis_left_is_removed_and_a_running_ones_stays(
    tmp_path: Path, own: Path
) -> None:
    killed, running = tmp_path / f"{PREFIX}killed", tmp_path / f"{PREFIX}running"
    for folder in (killed, running):
        folder.mkdir()
        (folder / "lock").touch()
        (folder / "000000.at_ns").write_bytes(bytes(8))
    with (running / "lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove_stale(tmp_path, own)
        assert folders(tmp_path) == [running]
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == []


def test_what_a_killed_analysis_left_is_found_where_locks_are_for_who_may_write(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def flock_of_nfs(file: int, how: int) -> None:
        if fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(file, how)

    killed = tmp_path / f"{PREFIX}killed"
    killed.mkdir()
    (killed / "lock").touch()
    monkeypatch.setattr("fcntl.flock", flock_of_nfs)
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == []


def test_an_interrupted_removal_is_ended_by_the_next_analysis(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def analysed() -> None:
        with spilled(tmp_path) as store:
            (store.folder / "000000-turns").touch()
            monkeypatch.setattr(type(tmp_path), "unlink", interrupted)

    with pytest.raises(KeyboardInterrupt):
        analysed()
    monkeypatch.undo()
    assert len(folders(tmp_path)) == 1
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == []


def test_a_folder_that_is_just_being_made_is_left_alone_and_an_old_empty_one_is_not(
    tmp_path: Path, own: Path
) -> None:
    young, old = tmp_path / f"{PREFIX}young", tmp_path / f"{PREFIX}old"
    young.mkdir()
    old.mkdir()
    os.utime(old, (0, 0))
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == [young]


def test_what_is_not_ours_is_left_alone_whatever_its_name(tmp_path: Path, own: Path) -> None:
    other, piped, linked = (tmp_path / f"{PREFIX}{name}" for name in ("other", "piped", "linked"))
    for folder in (other, piped, linked):
        folder.mkdir()
    (other / "notes.txt").write_text("a user's")
    os.mkfifo(piped / "lock")
    (linked / "lock").symlink_to(other / "notes.txt")
    for folder in (other, piped, linked):
        os.utime(folder, (0, 0))
    remove_stale(tmp_path, own)
    assert sorted(folders(tmp_path)) == sorted([other, piped, linked])


def test_what_another_user_left_is_left_alone(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / "lock").touch()
    monkeypatch.setattr("os.geteuid", lambda: left.stat().st_uid + 1)
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == [left]


def test_a_folder_that_is_about_to_be_locked_is_no_killed_ones(
    tmp_path: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another_begins_meanwhile(file: int, how: int) -> None:
        monkeypatch.undo()
        remove_stale(tmp_path, own)
        fcntl.flock(file, how)

    monkeypatch.setattr("fcntl.flock", another_begins_meanwhile)
    with spilled(tmp_path) as store:
        assert folders(tmp_path) == [store.folder]
        assert [path.name for path in store.folder.iterdir()] == ["lock"]


def test_one_whose_maker_was_killed_before_it_had_its_lock_goes_once_it_is_old(
    tmp_path: Path, own: Path
) -> None:
    left = tmp_path / f"{PREFIX}left"
    left.mkdir()
    (left / "new-lock").touch()
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == [left]
    os.utime(left, (0, 0))
    remove_stale(tmp_path, own)
    assert folders(tmp_path) == []


def test_a_run_that_takes_no_folder_is_spilled_to_where_large_temporary_files_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, large, small = (tmp_path / name for name in ("named", "large", "small"))
    monkeypatch.setenv("TMPDIR", str(named))
    monkeypatch.setattr("analyzer.recording.spill.folder._LARGE", str(large))
    monkeypatch.setattr("tempfile.tempdir", str(small))
    for parent in (small, large, named):
        left = parent / f"{PREFIX}killed"
        left.mkdir(parents=True)
        (left / "lock").touch()
        with spilled(tmp_path / "missing") as store:
            assert folders(parent) == [store.folder]
        with temporary_folder() as folder:
            assert folder.parent == parent
        assert folders(parent) == []
    for parent in (small, large, named):
        parent.rmdir()
    with (
        pytest.raises(RecordingError, match=r"large: cannot be written: No such file"),
        spilled(tmp_path / "missing"),
    ):
        pass


def test_workers_elsewhere_find_the_files_of_a_run_that_is_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path)
    with spilled(Path("run")) as store:
        bucket: Any = store.deal(2, dealt, [(1,)]).bucket(1)
        monkeypatch.chdir("/")
        assert bucket.read()["at"].tolist() == [1]


def test_workers_are_left_out_of_what_one_process_does_sooner(tmp_path: Path) -> None:
    workers: Any = object()
    means = Means(workers=workers, workers_from_bytes=SPILLED_BYTES + 1)
    for size, used in ((SPILLED_BYTES, None), (SPILLED_BYTES + 1, workers)):
        with store_for(tmp_path, size, means) as store:
            assert isinstance(store, Spill)
            assert store.workers is used


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "000000.at").symlink_to("/dev/full")
    (tmp_path / f"000001.{os.getpid()}-{threading.get_native_id()}.0").symlink_to("/dev/full")
    rows = {"at": np.zeros(1 << 16)}
    columns = FileColumns(tmp_path / "000000", Mappings())
    with pytest.raises(RecordingError, match="cannot be written: No space left on device"):
        columns.append(rows)
    dealing = Dealing(
        lambda: Dealt(np.zeros(1 << 16, dtype=np.int64), rows), tmp_path / "000001", 1
    )
    with pytest.raises(RecordingError, match="cannot be written: No space left on device"):
        dealing()


def test_small_captures_stay_in_memory(tmp_path: Path) -> None:
    with store_for(tmp_path, 1000) as store:
        assert store is IN_MEMORY
        assert folders(tmp_path) == []
    with store_for(tmp_path, 1 << 30):
        assert len(folders(tmp_path)) == 1


def test_a_column_is_no_memory_of_the_process_once_released(tmp_path: Path) -> None:
    program = """
import sys, numpy as np
from pathlib import Path
from analyzer.recording.spill import spilled
def resident_kb():
    return int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0])
with spilled(Path(sys.argv[1])) as store:
    writer = store.columns()
    for _ in range(32):
        writer.append({"at_ns": np.zeros(1 << 17, dtype=np.int64)})
    column, before = writer.finish()["at_ns"], resident_kb()
    assert column.sum() == 0
    read = resident_kb() - before
    store.release()
    print(read, resident_kb() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, check=True
    )
    read_kb, released_kb = map(int, done.stdout.split())
    assert read_kb > 16_000
    assert released_kb < 4_000
