"""``loadgen lab delay``, ``loss`` and ``rate``: a slower or lossy link."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.commands.loadgen.lab.types import BIT_RATE, SHARE
from loadgen.commands.types import DURATION
from loadgen.session.terminal import report_progress


@click.command()
@name_option
@click.argument("host")
@click.argument("by", type=DURATION, metavar="DURATION")
def delay(name: str, host: str, by: float) -> None:
    """Delay all that HOST sends by DURATION; 0 ends it."""
    _shape(name, host, "delay", delay_s=by)


@click.command()
@name_option
@click.argument("host")
@click.argument("share", type=SHARE)
def loss(name: str, host: str, share: float) -> None:
    """Drop a SHARE of what HOST sends, such as 1%; 0 ends it."""
    _shape(name, host, "loss", loss=share)


@click.command()
@name_option
@click.argument("host")
@click.argument("rate", type=BIT_RATE)
def rate(name: str, host: str, rate: float) -> None:
    """Limit the link of HOST to RATE, such as 10M; 0 ends it.

    In bit/s, in each direction.
    """
    _shape(name, host, "rate", rate_bps=rate)


def _shape(name: str, host: str, kind: str, **change: float) -> None:
    from loadgen.lab.faults.changes import shape
    from loadgen.lab.report import find

    event = shape(find(name), host, kind, **{key: value or None for key, value in change.items()})
    report_progress(f"{host}: {kind}: {event.detail}")
