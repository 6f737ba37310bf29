"""The same fail-over several times, and what all of them come to."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from analyzer.report import to_json
from loadgen.burst.progress import RunProgress
from loadgen.errors import RunFailed
from loadgen.failover.conclude import conclude_repeats, print_repeats, run_name
from loadgen.failover.run import failover
from loadgen.failover.sanity.check import until_sane
from loadgen.session.output.conclude import conclude, exit_code, print_summary
from loadgen.session.terminal import print_document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from analyzer.report import Analysis
    from loadgen.burst.burst import BurstOptions
    from loadgen.failover.options import FailoverOptions
    from loadgen.lab.lab import Lab
    from loadgen.load.plan import LoadPlan
    from loadgen.session.run import Ended
    from loadgen.sites import Site

SHORT_TAIL_S = 8.0
"""Of all runs but the last: long enough to see the old master return."""

ANY_AGE_S = 1.0
"""Faults are spread over so much, lest they keep step with the advertisements."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done, and how often."""

    plan: LoadPlan
    site: Site
    lab: Lab | None
    options: FailoverOptions
    watching: BurstOptions
    runs: int
    seed: int
    color: bool

    def directory(self, number: int) -> Path:
        """Of a run, from 0; a single run has the directory itself."""
        whole = self.watching.directory
        return whole if self.runs == 1 else whole / run_name(number)


async def repeat(order: Order) -> Ended:
    """Do them all, one after another; an interruption ends the row."""
    chance = random.Random(order.seed)  # noqa: S311 - not a secret
    for number in range(order.runs):
        timing = order.options.timing
        is_last = number == order.runs - 1
        timing = replace(
            timing,
            before_s=timing.before_s + chance.uniform(0, ANY_AGE_S),
            tail_s=timing.tail_s if is_last else min(timing.tail_s, SHORT_TAIL_S),
        )
        watching = replace(order.watching, directory=order.directory(number))
        progress = RunProgress(None, color=order.color)
        if number:
            await asyncio.to_thread(give_back, order.lab, order.plan.target.vip)
            await until_sane(order.plan, order.site, order.options, watching)
            progress.say(f"run {number + 1} of {order.runs}")
        options = replace(order.options, timing=timing)
        if (
            await failover(order.plan, order.site, order.lab, options, watching, progress)
            == "interrupted"
        ):
            return "interrupted"
    return "completed"


def give_back(lab: Lab | None, vip: str) -> None:
    """In a lab with nopreempt, have whoever holds the VIP stop and start, so that it moves back."""
    if lab is None or not lab.topology.nopreempt:
        return
    first = lab.topology.first_master.name
    for name, director in lab.directors.items():
        if name != first and director.holds(vip):
            director.keepalived_stop()
            director.keepalived_start()


def conclude_all(order: Order, ended: Ended, *, as_json: bool) -> int:
    """Analyse every run that was recorded, print, and give the exit code."""
    if order.runs == 1:
        analysis, page = conclude(order.directory(0))
        if as_json:
            print_document(to_json(analysis))
        print_summary(analysis, page, err=as_json)
        return exit_code(analysis, ended) or _invalid([analysis])
    concluded = conclude_repeats(order.watching.directory)
    print_repeats(concluded, as_json=as_json)
    return exit_code(concluded.analyses[-1], ended) or _invalid(concluded.analyses)


def _invalid(analyses: Sequence[Analysis]) -> int:
    """A run that proves nothing has failed."""
    failovers = [analysis.failover for analysis in analyses if analysis.failover]
    return 0 if all(failover.valid for failover in failovers) else RunFailed.exit_code
