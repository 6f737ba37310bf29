"""Nobody's directors are made to fail without consent, whatever lab is up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from loadgen.commands.loadgen.failover import _fault
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from loadgen.lab.lab import Lab

LAB = cast("Lab", SimpleNamespace(director_names=["bal01"]))


def options(**given: Any) -> dict[str, Any]:
    """What click hands over."""
    plain = {
        "fault": None,
        "fault_command": "true",
        "undo_command": None,
        "wait": False,
        "exercise": False,
        "repeat": 1,
        "allow_changes": False,
        "ours": False,
    }
    return plain | given


@pytest.mark.parametrize("lab", [LAB, None])
def test_directors_that_are_no_labs_own_are_changed_only_with_consent(lab: Lab | None) -> None:
    with pytest.raises(UsageProblem, match="--allow-changes agrees"):
        _fault(lab, options())
    assert _fault(lab, options(allow_changes=True)) is not None


def test_a_labs_own_need_none() -> None:
    assert _fault(LAB, options(ours=True)) is not None


def test_waiting_changes_nothing() -> None:
    assert _fault(None, options(fault_command=None, wait=True)) is None
