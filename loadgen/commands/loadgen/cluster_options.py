"""The flags of a burst that a cluster's workers send."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from loadgen.commands.types import SPAN, ReadType

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.cluster.address import ClusterAddress
    from loadgen.cluster.crew import ClusterOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFlags:
    """As given."""

    cluster: ClusterAddress | None
    max_clock_offset: float
    cluster_shared: bool


def _address(text: str) -> ClusterAddress:
    from loadgen.cluster.address import parse_address

    try:
        return parse_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


CLUSTER = ReadType("address", _address)


def cluster_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add them to a command."""
    for option in (
        click.option(
            "--cluster-shared",
            is_flag=True,
            help="The run directory is on a file system that all workers see under the same path: "
            "they record there.",
        ),
        click.option(
            "--max-clock-offset",
            type=SPAN,
            default="1s",
            show_default=True,
            help="Refuse a worker whose clock is further off than this.",
        ),
        click.option(
            "--cluster",
            type=CLUSTER,
            metavar="ADDRESS",
            help="Send from the workers of a Dask cluster: tls://SCHEDULER:8786, or local:N for N "
            "processes on this machine. --director worker:WORKER[,LINK] has one of them poll a "
            "director.",
        ),
    ):
        command = option(command)
    return command


def cluster_given(flags: ClusterFlags) -> ClusterOptions | None:
    """What they come to; None to send from this host."""
    if flags.cluster is None:
        return None
    from loadgen.cluster.crew import ClusterOptions

    return ClusterOptions(
        address=flags.cluster,
        max_clock_offset_s=flags.max_clock_offset,
        shared=flags.cluster_shared,
    )
