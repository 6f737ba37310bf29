"""A web server, and surroundings without configuration, for the commands' tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.loadgen.commands.web import Site
from tests.unit.loadgen.stand_in_director import director_of

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


@pytest.fixture
def director(tmp_path: Path, site: Site) -> str:
    """A director with a service at the site's port."""
    return director_of(tmp_path, site.port)
