"""The machine's own kernel as the directors', where it has IPVS.

The machine that runs the tests may have none, so this runs inside a User-Mode Linux guest, whose
kernel has IPVS, veth, bridge and namespaces: there it is the machine's own. What is done inside is
in ``inside_a_guest.py``; the guest is started by ``conftest.py``.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def guest_report(guest: Any) -> Any:
    """What happened inside the guest."""
    return guest.answer()


def test_auto_takes_the_kernel_that_has_ipvs_and_status_says_so(guest_report: Any) -> None:
    assert guest_report["kernel"] == "host"
    assert "kernel host (this machine's own 6.1" in guest_report["text"]


def test_the_rest_of_the_program_cannot_tell_the_difference(guest_report: Any) -> None:
    assert guest_report["holder"] == "bal01"
    assert guest_report["hostname"] == "bal01"
    assert sorted(guest_report["answers"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert guest_report["table"].count("Route   1      0          2") == 2
    assert guest_report["other_table"].count("Route   1      0          0") == 2


def test_each_director_has_ipvs_of_its_own_and_the_machine_none(guest_report: Any) -> None:
    assert "192.168.10.2" not in guest_report["machine_table"]
    assert "C0A80A02" not in guest_report["machine_table"]


def test_a_director_crashes_and_boots_again_with_an_empty_table(guest_report: Any) -> None:
    assert guest_report["taken_over"] is True
    assert guest_report["damage"] == []
    assert sorted(guest_report["answers_after"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert guest_report["taken_back"] is True
    assert guest_report["old_entries"] == 0


@pytest.mark.parametrize(("forwarding", "state"), [("nat", "TIME_WAIT"), ("tun", "FIN_WAIT")])
def test_nat_and_tun_work_on_it_too(guest_report: Any, forwarding: str, state: str) -> None:
    seen = guest_report[forwarding]
    assert seen["kernel"] == "host"
    assert sorted(seen["answers"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert seen["states"] == [state]


def test_nothing_is_left_of_it(guest_report: Any) -> None:
    assert guest_report["left"] == []
