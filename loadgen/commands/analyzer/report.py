"""``analyzer report``: a run directory, or files of others, to a page and to figures."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from loadgen.commands.loadgen.cluster_options import CLUSTER
from loadgen.commands.types import PathType
from loadgen.session.terminal import print_document, print_line, print_lines, report_progress

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.recording.spill import Means
    from analyzer.report import Analysis
    from loadgen.cluster.address import ClusterAddress
    from loadgen.importing.run_of_files import Run

MOST_PROCESSES = 64


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathType(), metavar="RUN|FILE...")
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
@click.option(
    "--processes",
    type=click.IntRange(1, MOST_PROCESSES),
    help="Processes that analyse a long capture.  [default: one for each core, at most 4, of a "
    "capture above 768 MB; else 1]",
)
@click.option(
    "--cluster",
    type=CLUSTER,
    metavar="ADDRESS",
    help="Have the workers of a Dask cluster analyse a long capture, part by part: "
    "tls://SCHEDULER:8786, or local:N for N processes on this machine.",
)
@click.option(
    "--no-run",
    is_flag=True,
    help="Keep no run directory of FILEs: only what is printed, and what -o names.",
)
def report(
    paths: tuple[Path, ...],
    output: Path | None,
    form: str,
    as_json: bool,
    assumed: tuple[str, ...],
    processes: int | None,
    cluster: ClusterAddress | None,
    no_run: bool,
) -> None:
    """Analyse a RUN, or FILEs recorded elsewhere; write a page.

    FILEs are captures (also a rotated set), logs of ipvsadm and poll logs of one director, packed
    or not, told by their content; or a folder of them. The run directory that is made of them is
    left beside the first. A RUN may be one that was cut off; for a folder of `loadgen failover
    --repeat`, the page of each run and of all together.
    """
    from loadgen.importing.run_of_files import run_of
    from loadgen.session.means.heap import keep_freed_memory

    if no_run and output is None and form != "html":
        raise click.UsageError(f"--no-run with --format {form} needs -o.")
    if processes and cluster:
        raise click.UsageError("--processes and --cluster exclude each other.")
    keep_freed_memory()
    with ExitStack() as closing:
        means = _means(paths, processes, cluster, closing)
        run = closing.enter_context(run_of(paths, keep=not no_run, means=means))
        print_lines((f"analyzer report: {line}" for line in run.doubts[:20]), err=True)
        wanted = _Wanted(output=output, form=form, as_json=as_json, assumed=assumed, means=means)
        _report(run, wanted)


def _means(
    paths: tuple[Path, ...],
    processes: int | None,
    cluster: ClusterAddress | None,
    closing: ExitStack,
) -> Means:
    """What the analysis of a long capture may use; it is closed with ``closing``."""
    from loadgen.importing.run_of_files import captured_bytes
    from loadgen.session.means.progress import progress_of
    from loadgen.session.means.workers import FASTER_FROM_BYTES, LocalWorkers, cores

    means = progress_of("analyzer report", report_progress)
    if cluster:
        from loadgen.cluster.parts import cluster_workers

        return replace(means, workers=closing.enter_context(cluster_workers(cluster)))
    count = processes or cores()
    if count == 1:
        return means
    workers = closing.enter_context(LocalWorkers(count))
    from_bytes = 0 if processes else FASTER_FROM_BYTES
    means = replace(means, workers=workers, workers_from_bytes=from_bytes)
    if means.uses_workers(captured_bytes(paths)):
        workers.prepare()
    return means


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    output: Path | None
    form: str
    as_json: bool
    assumed: tuple[str, ...]
    means: Means


def _report(run: Run, wanted: _Wanted) -> None:
    from analyzer.other_settings.what_if import parse_assumption
    from analyzer.report import to_json
    from loadgen.session.output.conclude import analyse_run, conclude, print_summary

    output, form, as_json = wanted.output, wanted.form, wanted.as_json
    if form == "html" and (_repeats_reported(run, wanted) or _proof_reported(run, wanted)):
        return
    assumptions = [parse_assumption(text) for text in wanted.assumed]
    where: Path | None = None
    if run.thrown_away and output is None:
        analysis = analyse_run(run.path, assumptions, run.thrown_away, wanted.means, run.read)
    elif form == "html":
        analysis, where = conclude(
            run.path, output, assumptions, run.thrown_away, wanted.means, run.read
        )
    else:
        analysis = analyse_run(run.path, assumptions, run.thrown_away, wanted.means, run.read)
        where = output or run.path / WHERE[form]
        _write(analysis, form, where)
    if as_json:
        print_document(to_json(analysis))
    print_summary(analysis, where, err=as_json, what=WHAT[form])


def _repeats_reported(run: Run, wanted: _Wanted) -> bool:
    """Whether it was a folder of repeated fail-overs."""
    from analyzer.recording.directory import MANIFEST

    if (run.path / MANIFEST).exists():
        return False
    from loadgen.failover.conclude import conclude_repeats, is_repeats, print_repeats

    if is_repeats(run.path):
        print_repeats(conclude_repeats(run.path, wanted.output), as_json=wanted.as_json)
        return True
    return False


def _proof_reported(run: Run, wanted: _Wanted) -> bool:
    """Whether it was a run that proves a capacity."""
    from analyzer.recording.directory import Recording

    if Recording.open(run.path).manifest.proof is None:
        return False
    from loadgen.capacity_proof.conclude import conclude_proof, print_proof

    print_proof(*conclude_proof(run.path, wanted.output), as_json=wanted.as_json)
    return True


WHAT = {"html": "page", "md": "summary", "csv": "tables", "parquet": "tables"}
WHERE = {"md": "report.md", "csv": "tables-csv", "parquet": "tables-parquet"}


def _write(analysis: Analysis, form: str, where: Path) -> None:
    from loadgen.session.output.formats import write_markdown, write_tables

    if form != "md":
        write_tables(analysis, where, form)
    elif why_none := write_markdown(analysis, where):
        print_line(f"analyzer report: the charts have no pictures: {why_none}", err=True)
