"""pytest fixtures: a real lab for a test that asks for one (``docs/lab.md``, "In your own tests").

``ipvs_lab`` is the exercise's lab, one for the whole session. ``make_ipvs_lab`` makes others, each
under a name that no other worker has, and takes them down at the session's end. Where there can be
no lab the test is skipped with the reason, unless ``CI`` is set: then it fails.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology import Topology


class MakeLab(Protocol):
    """What ``make_ipvs_lab`` gives."""

    def __call__(self, topology: Topology | None = None) -> Lab:
        """A lab that is up; two of equal topology are two labs."""


@pytest.fixture(scope="session")
def make_ipvs_lab() -> Iterator[MakeLab]:
    """A function that brings up a lab of a topology; all go down when the session ends."""
    with ExitStack() as labs:

        def make(topology: Topology | None = None) -> Lab:
            try:
                return labs.enter_context(Lab(topology))
            except LoadgenError as error:
                if os.environ.get("CI"):
                    raise
                pytest.skip(f"no lab: {error}")

        yield make


@pytest.fixture(scope="session")
def ipvs_lab(make_ipvs_lab: MakeLab) -> Lab:
    """The exercise's lab, up: ``ipvs_lab.client.run("curl", "-I", "192.168.10.2")``."""
    return make_ipvs_lab()
