"""Files are written whole or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer.errors import RecordingError
from analyzer.recording.directory import write_derived

if TYPE_CHECKING:
    from pathlib import Path


def test_what_was_derived_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert write_derived(page, "<p>ü") == page
    assert page.read_text(encoding="utf-8") == "<p>ü"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(RecordingError, match="cannot be written"):
        write_derived(tmp_path / "nowhere" / "report.html", "")
