"""A run as something else than a page: Markdown with pictures, or the tables behind the charts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.errors import RecordingError
from loadgen.session.output.chrome import NAMES, dump, find_chrome
from reports.export.markdown import charts_of, render_markdown
from reports.export.sheets import SHEETS, sheet, to_csv
from reports.export.stills import read_stills, render_stills, sequence_diagram_svg
from reports.run.sections.traces import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    import pandas as pd

    from analyzer.report import Analysis

NO_CHROME = f"no Chrome or Chromium on the machine that made this ({', '.join(NAMES[:3])})"
FAILED = "the browser of the machine that made this did not draw them"


def write_markdown(analysis: Analysis, output: Path) -> str | None:
    """Write the summary, and beside it a folder with a picture of each chart.

    Args:
        analysis: one run's.
        output: the file; the folder is called like it, with ``-charts``.

    Returns:
        Why the charts have no pictures; None where they have.

    Raises:
        RecordingError: something cannot be written.
    """
    folder = output.with_name(f"{output.stem}-charts")
    pictures, why_none = _pictures(analysis)
    if analysis.traces:
        first = analysis.traces[0]
        pictures["story"] = sequence_diagram_svg(first, sentence(first))
    files = {f"{name}.svg": text.encode() for name, text in pictures.items()}
    _write(folder, files)
    paths = {name: f"{quote(folder.name)}/{name}.svg" for name in pictures}
    text = render_markdown(analysis, paths, why_none=why_none)
    _write(output.parent, {output.name: text.encode()})
    return why_none


def _pictures(analysis: Analysis) -> tuple[dict[str, str], str | None]:
    charts = charts_of(analysis)
    if not charts:
        return {}, None
    chrome = find_chrome()
    if chrome is None:
        return {}, NO_CHROME
    pictures = read_stills(dump(render_stills(charts), chrome) or "")
    return pictures, None if pictures else FAILED


def write_tables(analysis: Analysis, folder: Path, kind: str) -> None:
    """Write every table behind the charts.

    Args:
        analysis: one run's.
        folder: made if it is not there; files of the same names in it are replaced.
        kind: ``csv`` or ``parquet``.

    Raises:
        RecordingError: something cannot be written.
    """
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in SHEETS:
            KINDS[kind](folder / f"{name}.{kind}", sheet(analysis, name))


def _csv(path: Path, pieces: Iterator[pd.DataFrame]) -> None:
    with path.open("wb") as file:
        for number, frame in enumerate(pieces):
            file.write(to_csv(frame, head=number == 0).encode())


def _parquet(path: Path, pieces: Iterator[pd.DataFrame]) -> None:
    first = pa.Table.from_pandas(next(pieces), preserve_index=False)
    with path.open("wb") as file, pq.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for frame in pieces:
            writer.write_table(pa.Table.from_pandas(frame, first.schema, preserve_index=False))


KINDS: Mapping[str, Callable[[Path, Iterator[pd.DataFrame]], None]] = {
    "csv": _csv,
    "parquet": _parquet,
}


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise RecordingError(f"{where}: cannot be written: {error.strerror}") from error


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    if not files:
        return
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
