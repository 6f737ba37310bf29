"""``analyzer report``: a run directory to a page and to figures."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "output", type=click.Path(path_type=Path), help="The page; report.html in RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
def report(run: Path, output: Path | None, as_json: bool) -> None:
    """Analyse RUN again and write its page; also a run that was cut off."""
    from loadgen.conclude import as_json as to_text
    from loadgen.conclude import conclude, print_summary

    analysis, page = conclude(run, output)
    if as_json:
        click.echo(to_text(analysis))
    print_summary(analysis, page, err=as_json)
