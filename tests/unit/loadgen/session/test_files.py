"""Where a run goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.session.files import new_run_directory

if TYPE_CHECKING:
    import pytest


def test_a_run_directory_is_named_after_the_utc_time_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 11, 22, 9, 8, 7, 0, 0, 0)))
    first = new_run_directory("burst")
    assert first == Path("runs/20261122T090807Z-burst")
    first.mkdir(parents=True)
    assert new_run_directory("burst") == Path("runs/20261122T090807Z-burst-2")
    assert new_run_directory("sweep") == Path("runs/20261122T090807Z-sweep")
