"""What a fail-over's section of ``run.json`` says before the fault."""

from __future__ import annotations

import pytest

from analyzer.recording import manifest as recording
from loadgen.failover.faults import CommandFault
from loadgen.failover.manifest import manifest_of
from loadgen.failover.options import FailoverOptions
from loadgen.failover.phases import Timing
from loadgen.lab.topology.layout import lay_out
from loadgen.load.plan import LoadPlan, OpenModel, Stage
from loadgen.target import Target

TIMING = Timing(before_s=5.0, after_s=20.0, tail_s=10.0)
PLAN = LoadPlan(
    target=Target(vip="192.0.2.1", port=80),
    arrivals=OpenModel(stages=(Stage(duration_s=1.0, rate_per_s=50.0),)),
)
OPTIONS = FailoverOptions(fault=CommandFault(("reboot",), ()), timing=TIMING, paths=None, runs=3)


def test_the_course_and_what_is_wrong_with_the_set_up_are_recorded() -> None:
    said = manifest_of(PLAN, OPTIONS, {}, ["no holder"])
    assert (said["before_s"], said["after_s"], said["tail_s"]) == (5.0, 20.0, 10.0)
    assert (said["fault"], said["runs_planned"], said["probed"]) == (OPTIONS.fault.name, 3, True)  # type: ignore[union-attr]
    assert (said["why_insane"], said["held_by"]) == (["no holder"], [])


@pytest.mark.parametrize("nopreempt", [True, False])
def test_of_a_lab_its_way_back_is_known(nopreempt: bool) -> None:
    lab = lay_out(nopreempt=nopreempt, preempt_delay_s=0 if nopreempt else 8)
    said = manifest_of(PLAN, OPTIONS, {}, [], lab)
    facts = recording.manifest_of({"failover": said}).failover  # as the analysis reads it
    assert facts is not None
    assert facts.nopreempt is nopreempt
    assert facts.preempt_delay_s == (0 if nopreempt else 8)


def test_of_other_directors_the_way_back_is_not_known() -> None:
    said = manifest_of(PLAN, OPTIONS, {}, [])
    assert (said["nopreempt"], said["preempt_delay_s"]) == (None, None)
