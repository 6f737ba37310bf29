"""When a director that has returned is to be master again, and when it is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analyzer.findings import failover as found
from tests.unit.analyzer.failover.builders_wire import Silence, at, failover_of


def returned(recorded: dict[str, Any], again_s: float | None, fault: str = "link-down") -> Any:
    inputs = Silence(to_s=40)
    if again_s is not None:
        inputs.wire.adverts = [a for a in inputs.wire.adverts if a.at_ns < at(again_s)]
        inputs.wire.reign("bal01", again_s, 40, 10, claim=True)
    facts = {"undo_ordered_ns": at(15.0), "undone_ns": at(15.1), "fault": f"bal01: {fault}"}
    return failover_of(inputs.evidence(recorded=facts | recorded))


def test_with_nopreempt_there_is_no_way_back_and_the_verdict_says_so() -> None:
    outcome = returned({"nopreempt": True}, None)
    assert (outcome.failback.never_due, outcome.failback.due_s) == (True, None)
    assert "bal01 did not take the VIP back (nopreempt)" in found.sentence(outcome)
    broken = returned({"nopreempt": True}, 19.0)
    assert "(which nopreempt should have prevented)" in found.sentence(broken)


@pytest.mark.parametrize(
    ("delay_s", "due_s"),
    [(0, (3.9609, 4.0609)), (0.5, (3.9609, 5.5609)), (8, (10.9609, 13.0609))],
)
def test_the_way_back_takes_an_election_and_the_delay(
    delay_s: float, due_s: tuple[float, float]
) -> None:
    outcome = returned({"nopreempt": False, "preempt_delay_s": delay_s}, 15.0 + due_s[0])
    assert outcome.failback.due_s == pytest.approx(due_s, abs=1e-4)
    said = found.sentence(outcome)
    assert f"(due after {due_s[0]:.2f} to {due_s[1]:.2f} s)" in said


def test_keepalived_that_has_to_start_may_take_two_seconds_more() -> None:
    outcome = returned({"nopreempt": False}, 20.0, fault="crash")
    assert outcome.failback.due_s == pytest.approx((3.9609, 6.0609), abs=1e-4)


def test_a_director_that_never_noticed_is_master_again_at_once() -> None:
    outcome = returned({"nopreempt": True}, 15.6, fault="unplug")
    assert outcome.failback.due_s == pytest.approx((0.0, 1.1))


@pytest.mark.parametrize("priority", [9, 8])
@pytest.mark.parametrize("fault", ["link-down", "unplug"])
def test_a_director_that_does_not_outrank_the_new_master_has_nothing_to_take_back(
    priority: int, fault: str
) -> None:
    """As after a run that left the backup master: it fails, and the other keeps the VIP."""
    inputs = Silence(to_s=40)
    inputs.wire.adverts = [
        replace(a, priority=priority) if a.priority == 10 else a for a in inputs.wire.adverts
    ]
    facts = {"undo_ordered_ns": at(15.0), "undone_ns": at(15.1), "fault": f"bal01: {fault}"}
    outcome = failover_of(inputs.evidence(recorded=facts | {"nopreempt": False}))
    assert (outcome.failback.due_s, outcome.failback.never_due) == (None, False)
    assert "take the VIP back" not in found.sentence(outcome)


def test_where_the_settings_are_not_known_nothing_is_said_of_the_way_back() -> None:
    outcome = returned({}, None)
    assert (outcome.failback.due_s, outcome.failback.never_due) == (None, False)
    assert "take the VIP back" not in found.sentence(outcome)
