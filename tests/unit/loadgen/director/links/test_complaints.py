"""What the other end of a link wrote does not get into a recording."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.director.links.complaints import UNKNOWN, recorded
from loadgen.director.links.shell import LinkLost


@pytest.mark.parametrize(
    ("complaint", "reason"),
    [
        ("alice@bastion.acme.example: Permission denied (publickey).", "Permission denied"),
        ("ssh: Could not resolve hostname bastion.acme.example", "Could not resolve hostname"),
        ("ssh://alice@bal01: no answer in 2.5 s", "no answer in 2.5 s"),
        ("sh: tcpdump: not found", "tcpdump: not found"),
        ("welcome to acme", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_complaint_is_one_of_ours(complaint: str, reason: str) -> None:
    assert recorded(complaint) == reason
    assert LinkLost(complaint).recorded == reason


@given(st.text(max_size=40))
def test_what_stands_around_a_known_reason_does_not_change_it(around: str) -> None:
    assert recorded(f"{around} Host key verification failed {around}") in (
        "Host key verification failed",
        recorded(around),
    )
