"""Mapped files are read as if they were in memory, and leave it when asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analyzer.parts.mapped import mapped, mapped_file_of, place_of, release


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


def test_the_place_of_a_part_is_known_in_a_file_and_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "column"
    path.write_bytes(bytes(80))
    content, inside = mapped(path), np.zeros(80, dtype=np.uint8)
    file = mapped_file_of(content)
    assert file is not None
    assert place_of(content[8:], file) == 8
    assert place_of(inside[8:].data, inside) == 8
