"""``loadgen lab status``."""

from __future__ import annotations

import click

from loadgen.commands.loadgen.lab.common import name_option


@click.command()
@name_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--toml", "as_toml", is_flag=True, help="Print what `lab up --topology` takes.")
def status(name: str, as_json: bool, as_toml: bool) -> None:
    """Show the hosts, who holds which VIP, and the directors' timeouts."""
    from loadgen.lab import report
    from loadgen.lab.topology import file as topology_file

    if as_json and as_toml:
        raise click.UsageError("--json or --toml, not both")
    if as_toml:
        click.echo(topology_file.to_toml(report.find(name).topology), nl=False)
        return
    lab_report = report.inspect(name)
    click.echo(report.as_json(lab_report) if as_json else report.as_text(lab_report))
