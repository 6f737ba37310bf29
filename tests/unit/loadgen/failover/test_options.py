"""How long the load of a fail-over lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.failover.faults import CommandFault
from loadgen.failover.options import FailoverOptions, scheduled
from loadgen.failover.phases import Timing
from loadgen.load.plan import LoadPlan, OpenModel, Stage
from loadgen.target import Target

if TYPE_CHECKING:
    from loadgen.failover.faults import Fault

TIMING = Timing(before_s=5.0, after_s=20.0, tail_s=10.0)
DAY_S = 24 * 3600


def lasting_s(fault: Fault | None) -> float:
    arrivals = OpenModel(stages=(Stage(duration_s=1.0, rate_per_s=50.0),))
    plan = LoadPlan(target=Target(vip="192.0.2.1", port=80), arrivals=arrivals)
    made = scheduled(plan, FailoverOptions(fault=fault, timing=TIMING, paths=None)).arrivals
    assert isinstance(made, OpenModel)
    (stage,) = made.stages
    assert stage.rate_per_s == 50.0
    return stage.duration_s


def test_a_fault_that_somebody_else_causes_is_awaited_for_a_day() -> None:
    assert lasting_s(None) == DAY_S


def test_load_about_a_fault_of_ours_lasts_as_long_as_its_course() -> None:
    assert lasting_s(CommandFault(("true",), ("true",))) == 5.0 + 20.0 + 10.0 + 1.0
    assert lasting_s(CommandFault(("true",), ())) == 5.0 + 20.0 + 10.0  # never undone
