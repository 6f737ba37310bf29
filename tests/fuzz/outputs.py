"""Run directories through what is made of them beside their page: tables, comparisons, copies."""

from __future__ import annotations

import json
import shutil
import warnings
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.across_runs.compare import compare
from analyzer.across_runs.document import to_json
from analyzer.analysis import analyse
from analyzer.anonymous.run import anonymise
from analyzer.recording.directory import Recording
from analyzer.recording.tables import TABLES
from loadgen.session.output.formats import write_tables
from reports.across_runs.comparison import comparison_document
from reports.document.html import page_of
from reports.export.markdown import render_markdown
from tests.fuzz.runs import RUNS, damaged_run

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

LIES = [0, 1, 2, 127, 2**31 - 1, 2**40, 2**62]
MANY = 300
KEY = bytes(32)


def attempt_export(chance: random.Random, folder: Path) -> None:
    """One run as tables and as a summary."""
    analysis = analyse(Recording.open(damaged_run(folder / "run", chance)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_tables(analysis, folder / "tables", chance.choice(["csv", "parquet"]))
        render_markdown(analysis, {})


def attempt_compare(chance: random.Random, folder: Path) -> None:
    """A run beside a whole one, or beside another."""
    runs = [damaged_run(folder / "run", chance)]
    runs.append(damaged_run(folder / "other", chance) if chance.random() < 0.3 else RUNS[-1])
    chance.shuffle(runs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        comparison = compare([analyse(Recording.open(run)) for run in runs])
        page_of(comparison_document(comparison))
    json.dumps(to_json(comparison), allow_nan=False)


def attempt_anonymise(chance: random.Random, folder: Path) -> None:
    """A copy of a run; it is read again, and its tables are whole."""
    recording = Recording.open(damaged_run(folder / "run", chance))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        anonymise(recording, folder / "copy", KEY)
    copy = Recording.open(folder / "copy")
    for name in TABLES:
        copy.table(name)
    assert copy.problems == []


def attempt_parts(chance: random.Random, folder: Path) -> None:
    """Parts of tables that lie about their rows, or are very many, or unpack to very much."""
    run = folder / "run"
    shutil.copytree(RUNS[-1], run, copy_function=shutil.copyfile)
    parts = sorted(run.glob("*/[!.]*.parquet"))
    for _ in range(chance.randint(1, 3)):
        chance.choice([_lying_footer, _lying_footer, _many_parts, _many_groups, _packed])(
            chance.choice(parts), chance
        )
    analyse(Recording.open(run))


def _lying_footer(part: Path, chance: random.Random) -> None:
    """Numbers of the footer (thrift, compact protocol) replaced by others."""
    content = part.read_bytes()
    length = int.from_bytes(content[-8:-4], "little")
    start = len(content) - 8 - length
    footer = bytearray(content[start:-8])
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(footer))
        end = at
        while end < len(footer) - 1 and footer[end] & 0x80:
            end += 1
        footer[at : end + 1] = _varint(2 * chance.choice(LIES))
    said = len(footer) if chance.random() < 0.9 else chance.choice(LIES) % 2**32
    part.write_bytes(content[:start] + footer + said.to_bytes(4, "little") + content[-4:])


def _varint(number: int) -> bytes:
    """As thrift writes it: seven bits in each byte, the last without the high bit."""
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


def _many_parts(part: Path, chance: random.Random) -> None:
    for number in range(chance.choice([2, MANY])):
        shutil.copyfile(part, part.with_name(f"part-9{number:04}.parquet"))


def _many_groups(part: Path, chance: random.Random) -> None:
    _rewritten(part, lambda rows: rows, row_group_size=chance.choice([1, 2]))


def _packed(part: Path, chance: random.Random) -> None:
    """One row very many times, which takes some kilobytes only."""
    times = chance.choice([1000, 100_000])
    _rewritten(part, lambda rows: rows.slice(0, 1).take(pa.repeat(pa.scalar(0), times)))


def _rewritten(
    part: Path, change: Callable[[pa.Table], pa.Table], row_group_size: int | None = None
) -> None:
    try:
        rows = pq.read_table(part, partitioning=None)
    except (pa.ArrowException, OSError, ValueError, MemoryError):
        return  # spoilt before
    if len(rows):
        pq.write_table(change(rows), part, row_group_size=row_group_size, compression="zstd")
