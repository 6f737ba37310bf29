"""Lines of texts that shells, editors and terminals saved."""

from __future__ import annotations

import codecs
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.importing.sources.lines import head_lines, lines_of, text_lines
from tests.unit.loadgen.importing.sources.builders_packed import PACKERS

if TYPE_CHECKING:
    from collections.abc import Callable

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16, little-endian": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16, big-endian": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("pack", [None, *PACKERS])
def test_a_text_is_read_in_every_encoding_packed_or_not(
    tmp_path: Path, encoding: str, pack: str | None
) -> None:
    content = ENCODINGS[encoding]("28 août 2026\r\n  -> 10.0.0.1:80\r\nlast")
    (tmp_path / "x").write_bytes(PACKERS[pack](content) if pack else content)
    expected = ["28 août 2026\r\n", "  -> 10.0.0.1:80\r\n", "last"]
    assert list(text_lines(tmp_path / "x")) == expected
    assert head_lines(tmp_path / "x") == [line.rstrip("\n") for line in expected]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x1b\ufeff")))
def test_utf_16_has_the_lines_of_utf_8(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(codecs.BOM_UTF16_LE + text.encode("utf-16-le"))
        assert b"".join(lines_of(path)).decode() == text
        assert all(line.count("\n") <= 1 for line in text_lines(path))


@pytest.mark.parametrize(
    "written",
    [
        "\x1b[?1049h\x1b[22;0;0t\x1b[1;24r\x1b(B\x1b[m\x1b[4l\x1b[?7h\x1b[H\x1b[2JEvery 2.0s: x",
        "\x1b]0;root@lb1\x07Every \x1b[1m2.0s\x1b[0m: x",
        "\x1b]2;title\x1b\\Every 2.0s: x\x1b7\x1b8",
    ],
)
def test_a_terminals_sequences_are_left_out(tmp_path: Path, written: str) -> None:
    (tmp_path / "x").write_text(f"{written}\r\n", newline="")
    assert list(text_lines(tmp_path / "x")) == ["Every 2.0s: x\r\n"]


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"28 ao\xfbt\nb\n", ["28 août\n", "b\n"]),  # Latin-1
        (b"a\rb\r\rc", ["a\n", "b\n", "c"]),  # an old Mac's
        (b"a\r\nb\r\r\n", ["a\r\n", "b\r\r\n"]),
        ("\ufeffa\n\ufeff\ufeffb\n".encode(), ["a\n", "b\n"]),  # two files, put together
    ],
)
def test_whatever_ends_and_encodes_a_line_is_read(
    tmp_path: Path, data: bytes, lines: list[str]
) -> None:
    (tmp_path / "x").write_bytes(data)
    assert list(text_lines(tmp_path / "x")) == lines
    assert head_lines(tmp_path / "x")[0] == lines[0].rstrip("\n")
