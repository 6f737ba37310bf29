"""``loadgen lab status``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option
from loadgen.session.terminal import print_document, print_lines, print_verbatim


@click.command()
@name_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--toml", "as_toml", is_flag=True, help="Print what `lab up --topology` takes.")
def status(name: str, as_json: bool, as_toml: bool) -> None:
    """Show hosts, masters of VIPs, and timeouts."""
    from loadgen.lab import report
    from loadgen.lab.topology import file as topology_file

    if as_json and as_toml:
        raise click.UsageError("--json or --toml, not both")
    if as_toml:
        print_verbatim(topology_file.to_toml(report.find(name).topology).splitlines())
        return
    lab_report = report.inspect(name)
    if as_json:
        print_document(report.to_document(lab_report), indent=2)
    else:
        print_lines(report.to_lines(lab_report))
