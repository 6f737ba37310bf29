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
def told(guest: Any) -> Any:
    """What happened inside the guest."""
    return guest.answer()


def test_auto_takes_the_kernel_that_has_ipvs_and_status_says_so(told: Any) -> None:
    assert told["kernel"] == "host"
    assert "kernel host (this machine's own 6.1" in told["text"]


def test_the_rest_of_the_program_cannot_tell_the_difference(told: Any) -> None:
    assert told["holder"] == "bal01"
    assert told["hostname"] == "bal01"
    assert sorted(told["answers"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert told["table"].count("Route   1      0          2") == 2
    assert told["other_table"].count("Route   1      0          0") == 2


def test_each_director_has_ipvs_of_its_own_and_the_machine_none(told: Any) -> None:
    assert "192.168.10.2" not in told["machine_table"]
    assert "C0A80A02" not in told["machine_table"]


def test_a_director_crashes_and_boots_again_with_an_empty_table(told: Any) -> None:
    assert told["taken_over"] is True
    assert told["damage"] == []
    assert sorted(told["answers_after"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert told["taken_back"] is True
    assert told["old_entries"] == 0


@pytest.mark.parametrize(("forwarding", "state"), [("nat", "TIME_WAIT"), ("tun", "FIN_WAIT")])
def test_nat_and_tun_work_on_it_too(told: Any, forwarding: str, state: str) -> None:
    seen = told[forwarding]
    assert seen["kernel"] == "host"
    assert sorted(seen["answers"]) == ["srv01", "srv01", "srv02", "srv02"]
    assert seen["states"] == [state]


def test_nothing_is_left_of_it(told: Any) -> None:
    assert told["left"] == []
