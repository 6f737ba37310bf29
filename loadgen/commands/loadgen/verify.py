"""``loadgen verify``: are these directors well? Ten seconds, and nothing is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.load_types import HOST
from loadgen.commands.loadgen.director_options import (
    director_option,
    keep_timeouts_option,
    lab_option,
)
from loadgen.commands.types import SPAN, TIMEOUTS
from loadgen.session.terminal import print_document, print_line, report_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.health import Check
    from analyzer.ipvs.states import Timeouts
    from loadgen.director.timeouts.restore import LeftTimeouts


@click.command()
@director_option
@click.option("--vip", type=HOST, help="VIP whose configured directors to check.")
@lab_option
@click.option(
    "--expect-timeouts",
    "expected",
    type=TIMEOUTS,
    help="Timeouts that should be configured, such as 900,120,300.",
)
@click.option(
    "-z",
    "--duration",
    "window_s",
    type=SPAN,
    default=4,
    show_default=True,
    help="Time over which new connections are counted.",
)
@keep_timeouts_option
@click.option("--json", "as_json", is_flag=True, help="Print the checks as one JSON document.")
def verify(
    directors: tuple[str, ...],
    vip: str | None,
    lab_name: str | None,
    expected: Timeouts | None,
    window_s: float,
    left_timeouts: LeftTimeouts,
    as_json: bool,
) -> int:
    """Check directors for ten seconds; nothing is sent.

    Without --director, those of loadgen.toml or LOADGEN_DIRECTOR are judged; where none are
    configured, or with --lab, those of the running lab. The last line names them.

    Exit code 0 if all checks pass, 99 if one fails, 2 if one could not be made.
    """
    import asyncio

    from analyzer.health import checks, verdict
    from analyzer.health.document import to_json
    from loadgen.collect.verify import look_at
    from loadgen.sites import find_site, stand_in
    from reports.export.checks import SIGNS
    from reports.run.text import directors as in_words

    site = find_site(vip, directors, lab_name, sends=False)
    stand_in(site, vip, report_progress)
    healths = asyncio.run(look_at(site, window_s, report_progress, left_timeouts))
    judged = checks(healths, expected)
    if as_json:
        print_document(to_json(judged, healths, site.lab))
    for check in judged:
        head = f"{SIGNS[check.outcome]:<12}  {check.director or 'all':<8}"
        print_line(f"{head}  {check.what}: {check.detail}", err=as_json)
    who = in_words(
        {health.director: health.link or health.director for health in healths}, site.lab
    )
    print_line(f"{verdict(judged)}: {who}", err=as_json)
    return _exit_code(judged)


def _exit_code(judged: Sequence[Check]) -> int:
    """What could not be looked at is never a pass, and weighs more than what failed."""
    from loadgen.errors import CheckFailed, UsageProblem

    outcomes = {check.outcome for check in judged}
    if "not measured" in outcomes:
        return UsageProblem.exit_code
    return CheckFailed.exit_code if "failed" in outcomes else 0
