"""Packed files: told by their first bytes, unpacked as a stream, never beyond a bound."""

from __future__ import annotations

import lzma
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.importing.sources import packed
from loadgen.importing.sources.packed import (
    PACKINGS,
    bounded_pieces,
    first_bytes,
    packing_of,
    raw_pieces,
)
from tests.unit.loadgen.importing.sources.builders_packed import PACKERS

EACH = pytest.mark.parametrize("name", PACKERS)


@EACH
def test_how_a_file_is_packed_is_told_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    (tmp_path / "x.txt").write_bytes(PACKERS[name](b"some text\n"))
    assert packing_of(tmp_path / "x.txt") is PACKINGS[name]


def test_a_file_that_only_has_a_packers_suffix_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"some text\n")
    assert packing_of(tmp_path / "x.gz") is None
    assert b"".join(raw_pieces(tmp_path / "x.gz")) == b"some text\n"


@given(st.sampled_from(sorted(PACKERS)), st.lists(st.binary(), min_size=1, max_size=3))
def test_what_was_packed_comes_out_also_of_parts_one_after_the_other(
    name: str, parts: list[bytes]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        path.write_bytes(b"".join(map(PACKERS[name], parts)))
        assert b"".join(raw_pieces(path)) == b"".join(parts)


@given(st.sampled_from(sorted(PACKERS)), st.binary(min_size=1), st.floats(0, 1))
def test_of_a_file_that_was_cut_off_comes_out_the_beginning(
    name: str, content: bytes, share: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        whole = PACKERS[name](content)
        path.write_bytes(whole[: max(len(PACKINGS[name].magic), int(share * len(whole)))])
        assert content.startswith(b"".join(raw_pieces(path)))


@EACH
def test_a_damaged_file_is_one_line(tmp_path: Path, name: str) -> None:
    whole = bytearray(PACKERS[name](random.Random(1).randbytes(5000)))
    whole[len(PACKINGS[name].magic) : 60] = b"\xff" * 60
    (tmp_path / "x").write_bytes(whole)
    with pytest.raises(UsageProblem, match="x: not readable: ") as caught:
        list(raw_pieces(tmp_path / "x"))
    assert "\n" not in str(caught.value)


@EACH
def test_what_unpacks_to_more_than_its_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(packed, "ANY_RATIO_BYTES", 1000)
    ratio = PACKINGS[name].most_ratio
    (tmp_path / "x").write_bytes(PACKERS[name](bytes(6_000_000)))
    if len(PACKERS[name](bytes(6_000_000))) * ratio >= 6_000_000:
        pytest.skip("this way packs nothing so small")
    with pytest.raises(UsageProblem, match=f"unpacks to more than {ratio} times its size"):
        list(bounded_pieces(tmp_path / "x", "a capture"))


def test_a_file_that_is_not_packed_has_no_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "ANY_RATIO_BYTES", 10)
    (tmp_path / "x").write_bytes(b"a" * 1000)
    assert len(b"".join(bounded_pieces(tmp_path / "x", "a capture"))) == 1000


def test_xz_that_needs_more_memory_than_its_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(lzma.compress(b"text"))
    monkeypatch.setattr(packed, "XZ_MEMORY_BYTES", 1 << 16)
    with pytest.raises(UsageProblem, match="not readable: Memory usage limit"):
        list(raw_pieces(tmp_path / "x"))


@EACH
def test_the_first_bytes_are_no_more_than_asked_for(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").write_bytes(PACKERS[name](b"0123456789" * 100_000))
    assert first_bytes(tmp_path / "x", 12) == b"012345678901"
    assert len(first_bytes(tmp_path / "x", 900_000)) == 900_000
