"""``loadgen lab export``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.commands.loadgen.lab.options import topology_options, wanted_topology
from loadgen.commands.types import PathType
from loadgen.session.terminal import report_progress

if TYPE_CHECKING:
    from pathlib import Path

STYLES = ("ipvsadm", "virtual-server")


@click.command()
@click.argument("directory", type=PathType(file_okay=False))
@name_option
@click.option(
    "--style",
    type=click.Choice(STYLES),
    default=STYLES[0],
    show_default=True,
    help="IPVS rules by ipvsadm-restore, or in keepalived.conf.",
)
@topology_options
def export(directory: Path, name: str, style: str, **options: object) -> None:
    """Write what a real deployment of the topology needs.

    DIRECTORY gets a folder for each host, and a Vagrantfile that makes the same hosts.

    It is the running lab's topology, unless flags or a file describe another: then no lab is
    needed.
    """
    from loadgen.lab.report import find
    from loadgen.lab.topology.export import write

    wanted = wanted_topology(options)
    topology = wanted if wanted is not None else find(name).topology
    for path in write(topology, directory, style):
        report_progress(str(path))
