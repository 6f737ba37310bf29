"""``python -m tests.fuzz [TARGET ...] [--seed N] [--seconds S | --count N]``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click

from loadgen.session.terminal import print_line
from tests.fuzz.loop import fuzz
from tests.fuzz.targets import TARGETS


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([target.name for target in TARGETS]))
@click.option("--seed", type=int, help="Number of the first input.  [default: by the clock]")
@click.option("--seconds", type=float, default=60.0, show_default=True, help="For each target.")
@click.option("--count", type=int, help="Inputs of each target, instead of seconds.")
def main(names: tuple[str, ...], seed: int | None, seconds: float, count: int | None) -> None:
    """Read mutated inputs; the first that is not taken as it should be ends it."""
    first = int(time.time()) * 1000 if seed is None else seed
    for target in TARGETS:
        if names and target.name not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            tally = fuzz(target, Path(folder), first, count=count, seconds=seconds)
        print_line(
            f"{target.name}: {tally.inputs} inputs from {first} on, {tally.refused} refused, "
            f"the longest took {tally.longest_s:.2f} s"
        )


main()
