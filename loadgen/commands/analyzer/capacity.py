"""``analyzer capacity``: how many VIPs let directors die without anybody noticing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import BIT_RATE, FACTOR, SHARE, SHARES, PathType
from loadgen.session.terminal import columns, print_document, print_line, print_lines

if TYPE_CHECKING:
    from fractions import Fraction
    from pathlib import Path

    from analyzer.capacity.question import Capacity

LIMIT_S = 20.0


@click.command()
@click.option("--hosts", type=click.IntRange(1, 64), required=True, help="Directors.")
@click.option(
    "--link",
    "link_bps",
    type=BIT_RATE,
    required=True,
    help="Link rate of each director: 1G, 1.5G, 100M.",
)
@click.option(
    "--ingress", "ingress_bps", type=BIT_RATE, required=True, help="Average traffic from clients."
)
@click.option(
    "--failures",
    type=click.IntRange(0, 64),
    default=1,
    show_default=True,
    help="Number of directors that may be down at once.",
)
@click.option(
    "--utilisation",
    type=SHARE,
    default="1",
    show_default=True,
    help="Share of a link that may be used.",
)
@click.option(
    "--burst",
    type=FACTOR,
    default="1",
    show_default=True,
    help="Peak rate divided by the average rate.",
)
@click.option(
    "--egress",
    "egress_bps",
    type=BIT_RATE,
    help="Traffic of the responses, if they pass the directors too (nat).",
)
@click.option(
    "--share",
    "shares",
    type=SHARES,
    help="Traffic shares of the VIPs, if unequal: 40,30,20,10.",
)
@click.option(
    "--emit",
    type=PathType(file_okay=False),
    help="Write a keepalived.conf per director and a lab topology to this new folder.",
)
@click.option("--sync", is_flag=True, help="With --emit: configure the IPVS sync daemon.")
@click.option("-o", "output", type=PathType(), help="Output page with the chart.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer as one JSON document.")
def capacity(
    output: Path | None, emit: Path | None, sync: bool, as_json: bool, **options: Any
) -> None:
    """Compute how many VIPs survive the loss of directors.

    Nothing is sent. Each VIP moves by VRRP to the next director of its list. Answers which
    lists keep every link within its limit after the losses, with the fewest VIPs, with all
    directors at work, and with loads alike at every time; and why one VIP per director is not
    enough.
    """
    from analyzer.capacity.document import to_json
    from analyzer.capacity.planner import plan_capacity
    from loadgen.commands.solver import kept_off_stdout
    from reports.capacity.plan import capacity_document
    from reports.document.text import lines_of

    question = _question(options)
    began_s = time.monotonic()
    with kept_off_stdout():
        result = plan_capacity(question, lambda: LIMIT_S - (time.monotonic() - began_s))
    document = capacity_document(result)
    if as_json:
        print_document(to_json(result))
    else:
        print_lines(lines_of(document, columns()))
    if emit:
        _emit(result, emit, sync=sync, err=as_json)
    if output:
        from loadgen.session.files import write_text
        from reports.document.html import page_of

        write_text(output, page_of(document))
        print_line(f"page: {output}", err=as_json)


def _question(options: dict[str, Any]) -> Any:
    from fractions import Fraction

    from analyzer.capacity.question import CapacityQuestion

    egress_bps: Fraction | None = options.pop("egress_bps")
    shares: tuple[Fraction, ...] | None = options.pop("shares")
    return CapacityQuestion(egress_bps=egress_bps or Fraction(0), shares=shares or (), **options)


def _emit(capacity: Capacity, folder: Path, *, sync: bool, err: bool) -> None:
    from loadgen.errors import UsageProblem
    from loadgen.lab.topology.emit import emit

    plan = capacity.plans[capacity.recommended] if capacity.recommended else None
    if plan is None:
        raise UsageProblem(f"--emit {folder}: there is no plan to write")
    for path in emit(plan.lists, capacity.question.hosts, folder, sync=sync):
        print_line(f"wrote {path}", err=err)
