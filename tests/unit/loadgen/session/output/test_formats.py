"""Tables as files: what is written piece by piece is what is written at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analyzer.charts import long_columns
from analyzer.errors import RecordingError
from loadgen.session.output.formats import KINDS, write_tables
from reports.export.sheets import SHEETS
from tests.unit.reports import builders_analysis as build

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_in_pieces_is_the_table(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build.demo()
    write_tables(run, tmp_path / "whole", kind)
    monkeypatch.setattr(long_columns, "PART_ROWS", 7)
    write_tables(run, tmp_path / "pieces", kind)
    written = {path.name for path in (tmp_path / "pieces").iterdir()}
    assert written == {f"{name}.{kind}" for name in SHEETS}
    for name in SHEETS:
        whole, pieces = (tmp_path / folder / f"{name}.{kind}" for folder in ("whole", "pieces"))
        if kind == "csv":
            assert pieces.read_bytes() == whole.read_bytes()
        else:
            assert_frame_equal(pd.read_parquet(pieces), pd.read_parquet(whole))
    assert len(run.timeline.request_ended_s) > 7


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_cannot_be_written_is_named(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"errors.{kind}").mkdir()
    with pytest.raises(RecordingError, match=rf"errors\.{kind}: cannot be written: "):
        write_tables(build.demo(), tmp_path, kind)
