"""Files of others are read as they were opened, whatever becomes of them and their names."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.errors import RecordingError
from analyzer.parts.inputs import Copied, opened, part_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = b"abcdefgh"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "capture"
    file.write_bytes(CONTENT)
    return file


def cut_off(path: Path) -> None:
    os.truncate(path, 4)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def grown(path: Path) -> None:
    path.write_bytes(CONTENT * 2)


def replaced(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"others, and more of them")


def renamed(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


MEANWHILE = pytest.mark.parametrize(
    ("meanwhile", "left"),
    [(cut_off, 4), (emptied, 0), (grown, 8), (replaced, 8), (renamed, 8)],
    ids=lambda value: getattr(value, "__name__", None),
)


@MEANWHILE
def test_a_part_is_read_as_far_as_the_opened_file_still_goes(
    path: Path, meanwhile: Callable[[Path], None], left: int
) -> None:
    file = opened(path)
    assert bytes(file.read(2, 6)) == b"cdef"
    meanwhile(path)
    assert len(file) == 8
    assert bytes(file.read(0, 99)) == CONTENT[:left]
    assert bytes(file.read(2, 6)) == CONTENT[2 : min(6, left)]
    assert bytes(file.read(6, 99)) == CONTENT[6:left]
    assert bytes(file.read(20, 30)) == b""


@MEANWHILE
def test_another_process_reads_what_the_first_has_open(
    path: Path, meanwhile: Callable[[Path], None], left: int
) -> None:
    file = opened(path)
    meanwhile(path)
    assert bytes(part_of(file.name(), 2, 4)) == CONTENT[2 : min(6, left)]


def test_on_another_host_a_file_is_found_by_its_name(path: Path, tmp_path: Path) -> None:
    (tmp_path / "stranger").write_bytes(b"of another process")
    file, stranger = opened(path), opened(tmp_path / "stranger")
    name = file.name()
    for there in (replace(name, process=2**22 + 1), replace(name, descriptor=stranger.fileno())):
        assert bytes(part_of(there, 2, 4)) == b"cdef"
        path.rename(tmp_path / "gone")
        assert bytes(part_of(there, 2, 4)) == b""
        (tmp_path / "gone").rename(path)


def test_what_was_read_knows_where_it_is_from(path: Path) -> None:
    file = opened(path)
    content = file.read(3, 6).obj
    assert isinstance(content, Copied)
    assert (content.file, content.first) == (file, 3)


def test_a_disk_that_fails_is_as_a_file_that_was_cut_off(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.EIO, "")

    file = opened(path)
    monkeypatch.setattr(os, "preadv", fails)
    assert bytes(file.read(2, 6)) == b""


def test_what_comes_in_small_pieces_is_read_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_kernel = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, room, at: by_kernel(fd, [room[0][:3]], at))
    assert bytes(opened(path).read(0, 8)) == CONTENT


def test_a_file_is_closed_with_its_last_use(path: Path) -> None:
    file = opened(path)
    descriptor, part = file.fileno(), file.read(2, 4)
    del file
    os.fstat(descriptor)
    del part
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_what_is_no_file_is_named_or_empty_and_waits_for_nobody(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"/gone: not readable: No such file"):
        opened(tmp_path / "gone")
    with pytest.raises(RecordingError, match=r"not readable: Is a directory"):
        opened(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    assert len(opened(tmp_path / "pipe")) == 0
