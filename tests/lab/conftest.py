"""A real lab for every test that asks for ``lab``: one per session, under a name of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def lab_prefix() -> str:
    """The beginning of this session's lab names, so that two sessions do not meet."""
    return f"t{os.getpid()}"


@pytest.fixture(scope="session")
def lab(lab_prefix: str) -> Iterator[Lab]:
    """The exercise's lab, up; skipped with the reason where there can be none, unless CI is set."""
    try:
        made = Lab.up(name=lab_prefix)
    except LoadgenError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no lab: {error}")
    with made:
        yield made
