"""The same fail-over several times, and what all of them come to."""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import click

from analyzer.failover.repeats import Repeats, repeats
from analyzer.results import to_json
from loadgen.conclude import as_json as to_text
from loadgen.conclude import conclude, exit_code, print_summary
from loadgen.errors import RunFailed
from loadgen.failover.run import failover, until_sane
from loadgen.progress import RunProgress

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.results import Analysis
    from loadgen.burst import BurstOptions
    from loadgen.failover.run import FailoverOptions
    from loadgen.lab.lab import Lab
    from loadgen.plan import LoadPlan
    from loadgen.run import Ended
    from loadgen.sites import Site

SHORT_TAIL_S = 8.0
"""Of all runs but the last: long enough to see the old master return."""

ANY_AGE_S = 1.0
"""Faults are spread over so much, lest they keep step with the advertisements."""

REPEATS = "repeats.json"


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
        return whole if self.runs == 1 else whole / f"run-{number + 1:03}"


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
            await until_sane(order.plan, order.site, order.options, watching)
            progress.say(f"run {number + 1} of {order.runs}")
        options = replace(order.options, timing=timing)
        if (
            await failover(order.plan, order.site, order.lab, options, watching, progress)
            == "interrupted"
        ):
            return "interrupted"
    return "completed"


def conclude_all(order: Order, ended: Ended, *, as_json: bool) -> int:
    """Analyse every run that was recorded, print, and give the exit code."""
    found = [path for n in range(order.runs) if (path := order.directory(n)).exists()]
    made = [conclude(path) for path in found]
    analysis, page = made[-1]
    if order.runs == 1:
        if as_json:
            click.echo(to_text(analysis))
        print_summary(analysis, page, err=as_json)
    else:
        _print_repeats(order, [one for one, _ in made], as_json=as_json)
    code = exit_code(analysis, ended)
    invalid = [one for one, _ in made if one.failover is not None and not one.failover.valid]
    return code or (RunFailed.exit_code if invalid else 0)


def _print_repeats(order: Order, made: list[Analysis], *, as_json: bool) -> None:
    told = repeats([one.failover for one in made if one.failover is not None])
    document = {
        "schema_version": 1,
        "runs": [to_json(one)["failover"] | {"run": one.run} for one in made],
        "repeats": asdict(told),
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False)
    (order.watching.directory / REPEATS).write_text(text)
    if as_json:
        click.echo(text)
    for line in repeat_lines(made, told):
        click.echo(line, err=as_json)
    click.echo(str(order.watching.directory), err=as_json)


def repeat_lines(made: list[Analysis], told: Repeats) -> list[str]:
    """A row a run, and the sentence that judges them all."""
    widths = {"run": 4, "outage": 8, "predicted": 10, "age": 7, "late": 6, "failed": 7, "reset": 6}
    head = " ".join(f"{name:>{width}}" for name, width in widths.items())
    rows = []
    for number, analysis in enumerate(made, start=1):
        one = analysis.failover
        if one is None:
            continue
        reset = sum(kind.reset for kind in one.in_flight.values())
        cells = [
            f"{number:>4}",
            f"{_two(one.outage_s):>8}",
            f"{_two(one.predicted_outage_s):>10}",
            f"{_two(one.advert_age_s):>7}",
            f"{one.late:>6} {one.failed:>7} {reset:>6}",
        ]
        rows.append(" ".join(cells) + ("" if one.valid else f"  invalid: {one.why_invalid}"))
    return [head, *rows, "", told.sentence]


def _two(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
