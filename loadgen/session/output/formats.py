"""A run as something else than a page: Markdown with pictures, or the tables behind the charts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from analyzer.errors import RecordingError
from loadgen.session.output.chrome import NAMES, dump, find_chrome
from reports.export.markdown import charts_of, render_markdown
from reports.export.sheets import sheets, to_csv
from reports.export.stills import read_stills, render_stills, sequence_diagram_svg
from reports.run.sections.traces import sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
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
    tables = sheets(analysis)
    make = KINDS[kind]
    _write(folder, {f"{name}.{kind}": make(frame) for name, frame in tables.items()})


def _parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet(index=False)


KINDS: Mapping[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": lambda frame: to_csv(frame).encode(),
    "parquet": _parquet,
}


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    if not files:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        where = error.filename or folder
        raise RecordingError(f"{where}: cannot be written: {error.strerror}") from error
