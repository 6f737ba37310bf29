"""``analyzer report``: a run directory to a page and to figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadgen.commands.types import PathType
from loadgen.session.terminal import print_document, print_line

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis


@click.command()
@click.argument("run", type=PathType())
@click.option(
    "-o",
    "output",
    type=PathType(),
    help="Output file (html, md) or folder (csv, parquet).  [default: in RUN]",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["html", "md", "csv", "parquet"]),
    default="html",
    show_default=True,
    help="html: the page; md: a summary for a ticket; csv, parquet: the tables behind the charts.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the analysis as one JSON document.")
@click.option(
    "--what-if",
    "assumed",
    multiple=True,
    metavar="NAME=VALUE",
    help="Replay the same packets with another tcp, tcpfin, udp, forwarding, conn_reuse_mode or "
    "secure_tcp; repeatable.",
)
def report(
    run: Path, output: Path | None, form: str, as_json: bool, assumed: tuple[str, ...]
) -> None:
    """Analyse RUN again and write its page or other formats.

    Also a run that was cut off. For a folder of `loadgen failover --repeat`, the page of each run
    and of all together.
    """
    from analyzer.other_settings.what_if import parse_assumption
    from analyzer.report import to_json
    from loadgen.capacity_proof.conclude import conclude_if_proof, print_proof
    from loadgen.failover.conclude import conclude_repeats, is_repeats, print_repeats
    from loadgen.session.output.conclude import analyse_run, conclude, print_summary

    if form == "html" and is_repeats(run):
        print_repeats(conclude_repeats(run, output), as_json=as_json)
        return
    proof = conclude_if_proof(run, output) if form == "html" else None
    if proof:
        print_proof(*proof, as_json=as_json)
        return
    assumptions = [parse_assumption(text) for text in assumed]
    if form == "html":
        analysis, where = conclude(run, output, assumptions)
    else:
        analysis = analyse_run(run, assumptions)
        where = output or run / WHERE[form]
        _write(analysis, form, where)
    if as_json:
        print_document(to_json(analysis))
    print_summary(analysis, where, err=as_json, what=WHAT[form])


WHAT = {"html": "page", "md": "summary", "csv": "tables", "parquet": "tables"}
WHERE = {"md": "report.md", "csv": "tables-csv", "parquet": "tables-parquet"}


def _write(analysis: Analysis, form: str, where: Path) -> None:
    from loadgen.session.output.formats import write_markdown, write_tables

    if form != "md":
        write_tables(analysis, where, form)
    elif why_none := write_markdown(analysis, where):
        print_line(f"analyzer report: the charts have no pictures: {why_none}", err=True)
