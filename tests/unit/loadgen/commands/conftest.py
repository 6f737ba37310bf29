"""A web server, and surroundings without configuration, for the commands' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.loadgen.commands.web import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LOADGEN_DIRECTOR", "LOADGEN_LAB", "LOADGEN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)
