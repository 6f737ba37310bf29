"""Nobody's directors are made to fail without consent, whatever lab is up."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, NoReturn, cast

import pytest

import loadgen.sites
from loadgen.commands.loadgen import failover
from loadgen.errors import UsageProblem
from loadgen.sites import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.failover.faults import Fault
    from loadgen.lab.lab import Lab
    from loadgen.load.plan import LoadPlan

    Faults = Callable[..., Fault | None]

LAB = cast("Lab", SimpleNamespace(director_names=["bal01"]))
COMMAND = ("--fault-command", "true")
NO_LABS_OWN = ("--director", "ssh://root@lb1")


class Found(Exception):
    """What the command would cause; it goes no further."""

    def __init__(self, fault: Fault | None) -> None:
        super().__init__()
        self.fault = fault


@pytest.fixture
def fault_of(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The fault that the command would cause with these words, while this lab is up."""

    def order(
        _plan: LoadPlan,
        _site: Site,
        lab: Lab | None,
        options: failover.FailoverFlags,
        *,
        allowed: bool,
    ) -> NoReturn:
        raise Found(failover.chosen_fault(lab, options, allowed=allowed))

    def of(lab: Lab | None, *words: str) -> Fault | None:
        site = Site(directors=(), namespace=None, interface=None, lab="lab" if lab else None)
        monkeypatch.setattr(loadgen.sites, "find_site", lambda *_: site)
        monkeypatch.setattr(failover, "_lab", lambda _: lab)
        with pytest.raises(Found) as found:
            failover.failover.main(["--vip", "192.0.2.2", *words], standalone_mode=False)
        return found.value.fault

    monkeypatch.setattr(failover, "_order", order)
    return of


@pytest.mark.parametrize("lab", [LAB, None])
def test_directors_that_are_no_labs_own_are_changed_only_with_consent(
    lab: Lab | None, fault_of: Faults
) -> None:
    with pytest.raises(UsageProblem, match="--allow-changes is needed"):
        fault_of(lab, *COMMAND, *NO_LABS_OWN)
    assert fault_of(lab, *COMMAND, *NO_LABS_OWN, "--allow-changes") is not None


def test_a_labs_own_need_none(fault_of: Faults) -> None:
    assert fault_of(LAB, *COMMAND) is not None


def test_waiting_changes_nothing(fault_of: Faults) -> None:
    assert fault_of(None, "--wait") is None
