"""pytest fixtures: a real lab for a test that asks for one (``docs/lab.md``, "In your own tests").

``ipvs_lab`` is the exercise's lab, one for the whole session. ``make_ipvs_lab`` makes others, each
under a name that no other worker has, and takes them down at the session's end. ``lg_lab`` sends
bursts through a lab of ``lg_topology`` (``docs/checks.md``, "In pytest"). Where there can be no lab
the test is skipped with the reason, unless ``CI`` is set: then it fails.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from analyzer.ipvs.states import Timeouts
from loadgen.errors import LoadgenError
from loadgen.lab.lab import Lab
from loadgen.lab.topology.layout import lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadgen.lab.topology.model import Topology
    from loadgen.lab.trial import LabUnderTest


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


@pytest.fixture(scope="session")
def lg_topology() -> Topology:
    """The lab of ``lg_lab``: the exercise's, tcpfin 30 s, the VIP static; override it to differ."""
    return lay_out(vip_by="static", timeouts=Timeouts(tcpfin_s=30))


@pytest.fixture(scope="session")
def lg_lab(
    make_ipvs_lab: MakeLab, lg_topology: Topology, tmp_path_factory: pytest.TempPathFactory
) -> LabUnderTest:
    """A lab to send bursts through: ``lg_lab.burst(n=200).lifetime("FIN_WAIT").timeout_s``."""
    from loadgen.lab.trial import LabUnderTest

    return LabUnderTest(make_ipvs_lab(lg_topology), tmp_path_factory.mktemp("runs"))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Predicted beside observed, where a measured time is not what a test expects."""
    from loadgen.lab.trial import MeasuredTime

    if isinstance(left, MeasuredTime) and isinstance(right, (int, float)):
        return left.explain(op, right)
    if isinstance(right, MeasuredTime) and isinstance(left, (int, float)):
        return right.explain(_TURNED.get(op, op), left)
    return None


_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
