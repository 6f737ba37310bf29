"""Tables in parts: what a store keeps comes back as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.observed.entries import numbered
from analyzer.observed.parted import Kept, Parted
from analyzer.parts import InMemory
from analyzer.recording.spill import spilled
from tests.unit.analyzer.builders_packets import NS, table
from tests.unit.analyzer.builders_parts import cut
from tests.unit.properties import examples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_kept_table_comes_back_with_its_types_and_gaps() -> None:
    changes = numbered(table("entries", list(_SOME)), None)
    with_text = changes.assign(cause="timer", half_s=np.array([0.5, np.nan]))
    kept = Kept(InMemory())
    kept.append(with_text)
    kept.append(with_text.iloc[:0])
    kept.append(with_text.iloc[1:].assign(cause=None).astype({"cause": with_text["cause"].dtype}))
    first, second, third = kept.finish()
    assert_frame_equal(first, with_text)
    assert second.empty
    assert third["cause"].isna().tolist() == [True]
    assert third["real_port"].isna().tolist() == [True]
    assert third.dtypes.tolist() == with_text.dtypes.tolist()


_SOME = [
    {
        "at": NS,
        "director": "bal01",
        "change": change,
        "protocol": "TCP",
        "expires_s": 3,
        "client_ip": "10.0.0.1",
        "client_port": 7,
        "vip": "10.9.9.9",
        "port": 80,
        "real_server": server,
        "real_port": None if server is None else 80,
    }
    for change, server in (("appeared", "10.0.1.1"), ("gone", None))
]


@examples(60)
@given(rows=st.integers(0, 60), at_once=st.integers(1, 60), most=st.integers(1, 60))
def test_a_sample_is_the_same_in_any_parts(rows: int, at_once: int, most: int) -> None:
    table = pd.DataFrame({"row": np.arange(rows)})
    parts = [table.iloc[first : first + at_once] for first in range(0, rows + 1, at_once)]
    found = Parted(lambda: iter(parts)).some(most)["row"].tolist()
    assert found == Parted.of(table).some(most)["row"].tolist()
    assert found == sorted(set(found))
    assert min(rows, max(most // 4, 1)) <= max(len(found), 1) <= max(most, 1)
    assert len(found) == rows or rows > most


def test_a_table_is_sampled_from_one_row_more_on_than_a_sample_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("analyzer.observed.parted.SAMPLE_ROWS", 10)
    for rows in (0, 9, 10, 11, 40):
        table = pd.DataFrame({"row": np.arange(rows)})
        for parts in (Parted.of(table), cut(table, 3)):
            assert parts.is_sampled is (rows > 10)
            assert (len(parts.some()) < rows) is parts.is_sampled


def test_a_sample_is_spread_evenly() -> None:
    """A table of two rows for each flow has both in it, from its start to its end."""
    rows = np.arange(100_000)
    found = Parted.of(pd.DataFrame({"row": rows})).some(2000)["row"].to_numpy()
    assert 1000 <= len(found) <= 2000
    assert np.diff(found).max() < 300
    assert abs((found % 2).mean() - 0.5) < 0.1


def polls(first: int, count: int) -> pd.DataFrame:
    """Polls of three real servers, the second of which is not always there."""
    number = np.arange(first, first + count)
    servers = np.array(["10.0.1.1", None, "10.0.1.3"], dtype=object)[number % 3]
    return pd.DataFrame({"server": pd.array(servers, dtype="str"), "active": number})


def test_a_long_table_in_one_frame_has_texts_that_repeat_themselves_once(tmp_path: Path) -> None:
    with spilled(tmp_path) as store:
        kept = Kept(store)
        for first in (0, 10_000, 20_000):
            kept.append(polls(first, 10_000))
        found = kept.in_one()
        assert_frame_equal(found, polls(0, 30_000))
    chunks = found["server"].array.__arrow_array__().chunks
    assert len({chunk.buffers()[-1].address for chunk in chunks[:-1]}) == 3  # of 4,096 rows each


def test_parts_are_filtered_and_brought_together() -> None:
    kept = Kept(InMemory())
    for first in (0, 30, 60):
        kept.append(polls(first, 30))
    found = kept.finish()
    assert found.where(lambda rows: rows["active"] % 2 == 0)["active"].tolist() == [
        *range(0, 90, 2)
    ]
    some = found.only(lambda rows: rows["active"] >= 45)
    assert [len(part) for part in some] == [0, 15, 30]
    assert some.column(lambda rows: rows["active"].to_numpy()).tolist() == [*range(45, 90)]
    doubled = some.map(lambda rows: rows.assign(active=rows["active"] * 2))
    assert doubled.values("active", lambda rows: rows["server"].isna()).tolist() == [
        2 * number for number in range(45, 90) if number % 3 == 1
    ]
    assert not some.empty
    assert found.only(lambda rows: rows["active"] < 0).empty


def test_a_table_in_one_part_is_not_copied() -> None:
    frame = polls(0, 9)
    assert Parted.of(frame).whole() is frame
    assert Parted.of(frame).only(lambda rows: rows["active"] >= 0).whole() is frame
