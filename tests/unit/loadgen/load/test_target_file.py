"""A file of targets: what is read, and what is refused by file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.load import target_file
from loadgen.load.target_file import MOST_BYTES, read_targets

if TYPE_CHECKING:
    from pathlib import Path


def read(path: Path, content: str | bytes) -> list[str]:
    """Each target, as ``where`` and what it is."""
    file = path / "t"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    shown = [(line.where, line.vip or line.url) for line in read_targets(str(file))]
    return [f"{where.rpartition(':')[2]} {said}" for where, said in shown]


def test_a_target_a_line_with_comments_and_blank_lines(tmp_path: Path) -> None:
    text = "\ufeff# all\r\n 10.0.0.1:80 # http\r\n\r\n[fd00::1]:81\nfd00::2\nshop.example\n"
    assert read(tmp_path, text) == [
        "2 10.0.0.1:80",
        "4 [fd00::1]:81",
        "5 fd00::2",
        "6 shop.example",
    ]


def test_a_line_with_a_scheme_or_a_path_is_a_url(tmp_path: Path) -> None:
    first, second = read(tmp_path, "https://10.0.0.1/a#part\n10.0.0.2:81/b\n")
    assert "tls=True, path='/a'" in first
    assert "port=81, tls=False, path='/b'" in second


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", ": expected at least one line with HOST"),
        ("# nothing\n", ": expected at least one line with HOST"),
        ("10.0.0.1\n10.0.0.1:0\n", ":2: expected HOST"),
        ("\n10.0.0.1:x\n", ":2: expected HOST"),
        ("10.0.0.1 10.0.0.2\n", ":1: expected HOST"),
        ("secret@host\n", ":1: expected HOST"),
        ("http://me:secret@host/\n", ":1: no user and password in a URL"),
        ("ftp://secret/\n", ":1: expected http://HOST"),
        (b"\xff\xfe1\0", ": expected UTF-8 text"),
        (b"#" * (MOST_BYTES + 1), ": expected at most 65,536 bytes"),
        ("\n".join(f"10.0.0.{n}" for n in range(65)), ":65: expected at most 64 targets"),
    ],
)
def test_what_is_no_target_is_refused_by_its_place_and_not_repeated(
    content: str | bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"expected|no user") as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 't'}{says}")
    assert "secret" not in str(caught.value)


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        read_targets(str(tmp_path / "missing"))
    with pytest.raises(ValueError, match="Is a directory"):
        read_targets(str(tmp_path))


@given(text=st.text())
def test_any_text_is_read_or_refused_by_file_and_line(text: str) -> None:
    try:
        lines = list(target_file.targets_in("f", text))
    except ValueError as error:
        assert str(error).startswith("f:")  # noqa: PT017 - either way is right
        return
    assert all(
        line.where.startswith("f:") and (line.vip is None) != (line.url is None) for line in lines
    )
