"""Run directories: ``run.json``, each table and the capture, through the analysis and the page."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analyzer.across_runs.past_run import past_run
from analyzer.recording.directory import Recording
from analyzer.recording.tables import TABLES
from analyzer.report import to_json
from loadgen.session.output.conclude import conclude
from tests.fuzz.mutate import damaged, damaged_json, to_bytes

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

DATA = Path(__file__).parents[1] / "data"
RUNS = [DATA / "dr-burst-killed", DATA / "dr-failover", DATA / "dr-burst-50"]
NUMBERS = [None, 0, -1, 1, 80, 65_536, 2**31, 2**40, 2**53, 2**62, 2**63 - 1, -(2**63)]
REALS = [None, 0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf")]
WORDS = [
    None,
    "",
    "x",
    "TCP",
    "ESTABLISHED",
    "::1",
    "10.0.0.1",
    "999.1.1.1",
    "\x00",
    "gone",
    "x" * 100_000,
]


def attempt(chance: random.Random, folder: Path) -> None:
    """One run, from its directory to its page and its place in a history."""
    run = damaged_run(folder / "run", chance)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        analysis, _ = conclude(run, None, [])
    recording = Recording.open(run)
    past_run("run", recording.manifest, json.loads(json.dumps(to_json(analysis), allow_nan=False)))


def damaged_run(run: Path, chance: random.Random) -> Path:
    """A copy of a recorded run with something odd in it."""
    shutil.copytree(chance.choice(RUNS), run, copy_function=shutil.copyfile)
    for _ in range(chance.randint(1, 2)):
        chance.choice([_manifest, _column, _column, _rows, _rows])(run, chance)
    if chance.random() < 0.2:
        _file(run, chance)
    return run


def _manifest(run: Path, chance: random.Random) -> None:
    path = run / "run.json"
    path.write_bytes(to_bytes(damaged_json(json.loads(path.read_bytes()), chance)))


def _file(run: Path, chance: random.Random) -> None:
    path = chance.choice(sorted(path for path in run.rglob("*") if path.is_file()))
    path.write_bytes(damaged(path.read_bytes(), chance))


def _column(run: Path, chance: random.Random) -> None:
    """A column missing, null, of one odd value, or of another type."""
    _change(run, chance, _with_odd_column)


def _rows(run: Path, chance: random.Random) -> None:
    """Rows missing, twice, in another order, or of odd cells."""
    _change(run, chance, _with_odd_rows)


def _change(
    run: Path, chance: random.Random, change: Callable[[pa.Table, random.Random], pa.Table]
) -> None:
    parts = [path for name in TABLES for path in sorted((run / name).glob("[!.]*.parquet"))]
    tables = sorted({path.parent for path in parts})
    chosen = chance.choice(tables)
    seed = chance.random()
    for path in parts:
        if path.parent == chosen:
            rows = change(pq.read_table(path, partitioning=None), type(chance)(seed))
            pq.write_table(rows, path)


def _with_odd_column(rows: pa.Table, chance: random.Random) -> pa.Table:
    number = chance.randrange(rows.num_columns)
    column = rows.schema.field(number)
    if chance.random() < 0.2:
        return rows.remove_column(number)
    if chance.random() < 0.1:
        odd = pa.array([chance.choice(["x", "1"])] * len(rows))
        return rows.set_column(number, column.name, odd)
    value = _odd(column.type, chance)
    return rows.set_column(number, column, pa.array([value] * len(rows), column.type))


def _with_odd_rows(rows: pa.Table, chance: random.Random) -> pa.Table:
    order = list(range(len(rows)))
    kept = [number for number in order for _ in range(chance.choice((0, 1, 1, 1, 2)))]
    if chance.random() < 0.5:
        chance.shuffle(kept)
    rows = rows.take(pa.array(kept, pa.int64()))
    for _ in range(chance.randint(0, 6) if len(rows) else 0):
        number, column = chance.randrange(len(rows)), chance.choice(list(rows.schema))
        values = rows[column.name].combine_chunks()
        odd = pa.array([_odd(column.type, chance)], column.type)
        changed = pa.concat_arrays([values[:number], odd, values[number + 1 :]])
        rows = rows.set_column(rows.schema.get_field_index(column.name), column, changed)
    return rows


def _odd(kind: pa.DataType, chance: random.Random) -> object:
    if pa.types.is_string(kind):
        return chance.choice(WORDS)
    return chance.choice(REALS if pa.types.is_floating(kind) else NUMBERS)
