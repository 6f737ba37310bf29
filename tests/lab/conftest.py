"""A real lab for every test that asks for ``lab``: one per session, under a name of its own.

The fixtures are the ones that the program offers to its users.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.fixture import ipvs_lab, make_ipvs_lab

if TYPE_CHECKING:
    from loadgen.lab.lab import Lab

__all__ = ["ipvs_lab", "make_ipvs_lab"]


@pytest.fixture(scope="session")
def lab_prefix() -> str:
    """The beginning of this session's lab names, so that two sessions do not meet."""
    return f"t{os.getpid()}"


@pytest.fixture(scope="session")
def lab(ipvs_lab: Lab) -> Lab:
    """The exercise's lab, up."""
    return ipvs_lab
