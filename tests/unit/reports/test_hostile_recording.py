"""A recording with hostile text in every place that a text can have is shown as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import MANIFEST, Recording, RecordingWriter
from analyzer.recording.tables import TABLES
from reports.run.page import MAX_TEXT, render_page
from reports.run.text import summary_lines
from tests.unit.reports.run.test_page import HOSTILE, Outline

RUN = Path(__file__).parents[2] / "data" / "dr-burst-50"
TEXTS = {  # columns that a director, a real server, the wire or a user fills
    "requests": ("kind", "host", "error", "closer"),
    "services": ("director", "scheduler", "real_server", "forwarding"),
    "entries": ("director", "state", "origin", "real_server"),
    "polls": ("director",),
    "events": ("host", "kind", "detail"),
}
OURS = ("service", "started_at_ns", "timer_phase_source")  # read as addresses and numbers


def marked(value: Any, text: str) -> Any:
    """Every string with the text behind it, and every key of a mapping of names."""
    if isinstance(value, dict):
        return {k: v if k in OURS else marked(v, text) for k, v in value.items()}
    if isinstance(value, list):
        return [marked(item, text) for item in value]
    return f"{value}{text}" if isinstance(value, str) else value


def hostile(path: Path, text: str) -> Path:
    source = Recording.open(RUN)
    manifest = marked(json.loads((RUN / MANIFEST).read_text()), text)
    manifest["directors"] = {f"{k}{text}": v for k, v in manifest["directors"].items()}
    writer = RecordingWriter(path, manifest)
    writer.capture_path.write_bytes((RUN / "capture.pcap").read_bytes())
    for name, columns in TEXTS.items():
        table = source.table(name)
        for column in columns:
            table[column] = table[column].fillna("") + text
        rows = {column: pa.array(table[column]) for column in TABLES[name].names}
        writer.extend_columns(name, rows)
    writer.close("completed")
    return path


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Outline:
    run = hostile(tmp_path_factory.mktemp("calm") / "run", "harmless")
    return Outline(render_page(analyse(Recording.open(run))))


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\ud800" not in text])
def test_it_adds_no_element_and_steers_no_terminal(
    tmp_path: Path, calm: Outline, text: str
) -> None:
    analysis = analyse(Recording.open(hostile(tmp_path / "run", text)))
    assert f"bal01{text}" in {peak.director for peak in analysis.peaks}
    assert Outline(render_page(analysis)).shape() == calm.shape()
    assert all(line.isprintable() for line in summary_lines(analysis))


def test_texts_without_end_make_no_page_without_end(tmp_path: Path, calm: Outline) -> None:
    analysis = analyse(Recording.open(hostile(tmp_path / "run", "x" * 100_000)))
    made = render_page(analysis)
    assert len(made) < 6e6
    assert Outline(made).shape() == calm.shape()
    assert "x" * MAX_TEXT not in made
    assert "x" * (MAX_TEXT - 40) in made
