"""Mapped files are read as if they were in memory, and leave it when asked."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from analyzer.parts.mapped import (
    Copied,
    copied,
    is_whole,
    mapped,
    mapped_file_of,
    place_of,
    release,
)


def test_a_column_of_a_file_leaves_memory_and_is_still_there(tmp_path: Path) -> None:
    path = tmp_path / "column"
    path.write_bytes(np.arange(100_000.0).tobytes())
    column = np.frombuffer(mapped(path))[10:]
    assert column.sum() > 0
    before_kb = _resident_kb(path)
    release(column)
    release(np.zeros(3))
    assert _resident_kb(path) < before_kb
    assert column[0] == 10


def _resident_kb(path: Path) -> int:
    of_file = Path("/proc/self/smaps").read_text().partition(str(path))[2]
    return int(of_file.partition("Rss:")[2].split()[0])


def test_the_file_of_what_lies_in_one_is_known_and_of_what_does_not_there_is_none(
    tmp_path: Path,
) -> None:
    path = tmp_path / "column"
    path.write_bytes(bytes(80))
    content = mapped(path)
    column = np.frombuffer(content, dtype=np.int64)[2:][::2]
    files = [mapped_file_of(rows) for rows in (content, content[8:], column)]
    assert [file.path for file in files if file] == [path] * 3
    assert mapped_file_of(np.zeros(3)) is None
    assert mapped_file_of(memoryview(b"abc")) is None


def test_a_file_that_was_cut_off_is_known_as_such_not_one_that_grew_or_was_deleted(
    tmp_path: Path,
) -> None:
    path = tmp_path / "capture"
    path.write_bytes(bytes(80))
    content = mapped(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert is_whole(content)
    os.truncate(path, 79)
    assert not is_whole(content[:8])
    os.truncate(path, 80)
    path.unlink()
    assert is_whole(content)
    assert is_whole(memoryview(b"abc"))


def test_a_part_is_read_as_far_as_the_file_still_goes(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"abcdefgh")
    content = mapped(path)
    assert bytes(copied(content[2:6])) == b"cdef"
    os.truncate(path, 4)
    assert bytes(copied(content[2:6])) == b"cd"
    assert bytes(copied(content[4:6])) == b""
    assert bytes(copied(memoryview(b"abc")[1:])) == b"bc"


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_part_of_a_file_whose_name_is_gone_is_what_was_mapped(tmp_path: Path, how: str) -> None:
    path = tmp_path / "capture"
    path.write_bytes(b"abcdefgh")
    content = mapped(path)
    path.unlink()
    if how == "replaced":
        path.write_bytes(b"others")
    assert bytes(copied(content[2:6])) == b"cdef"


def test_the_place_of_a_part_is_known_in_a_file_and_in_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(bytes(80))
    content = mapped(path)
    file, copy = mapped_file_of(content), copied(content[8:]).obj
    assert file is not None
    assert isinstance(copy, Copied)
    assert place_of(content[8:], file) == copy.first == 8
    assert place_of(memoryview(copy)[3:], copy) == 3
