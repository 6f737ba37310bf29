"""``analyzer report``: a run directory to a page and to figures."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("-o", "output", type=click.Path(path_type=Path), help="The page; report.html in RUN.")
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option(
    "--what-if",
    "assumed",
    multiple=True,
    metavar="NAME=VALUE",
    help="The same packets under another tcp, tcpfin, udp, forwarding, conn_reuse_mode or "
    "secure_tcp; repeatable.",
)
def report(run: Path, output: Path | None, as_json: bool, assumed: tuple[str, ...]) -> None:
    """Analyse RUN again and write its page; also a run that was cut off."""
    from analyzer.what_if import parse_assumption
    from loadgen.conclude import as_json as to_text
    from loadgen.conclude import conclude, print_summary

    analysis, page = conclude(run, output, [parse_assumption(text) for text in assumed])
    if as_json:
        click.echo(to_text(analysis))
    print_summary(analysis, page, err=as_json)
