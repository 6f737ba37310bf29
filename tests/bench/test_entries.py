"""A connection table of a million entries: its text to columns, and poll against poll."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from analyzer.ipvs.proc.entry_rows import entry_columns
from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.table_diff.tracking import TableTracker
from analyzer.recording.directory import RecordingWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.ipvs.proc.entry_rows import Rows

ENTRIES = 1_000_000
BAR_S, BAR_MB, BAR_RATIO = 1.0, 500, 10
RUNS = 5
STATES = ("ESTABLISHED", "FIN_WAIT", "TIME_WAIT", "SYN_RECV")
TITLE = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
NS = 1_000_000_000


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a director with a million entries prints: 65,536 clients, four servers."""
    random = np.random.default_rng(7)
    client = random.permutation(1 << 24)[:ENTRIES].tolist()
    state = random.integers(0, len(STATES), ENTRIES).tolist()
    expires = random.integers(0, 900, ENTRIES).tolist()
    path = tmp_path_factory.mktemp("entries") / "ip_vs_conn"
    with path.open("w") as file:
        file.write(TITLE)
        for number in range(ENTRIES):
            file.write(
                f"TCP 0A{client[number] >> 8:04X}07 {1024 + (client[number] & 0xFF):04X} C0A80A02 "
                f"0050 C0A80A{21 + number % 4:02X} 0050 {STATES[state[number]]:<11} "
                f"{expires[number]:7}\n"
            )
    return path


def by_split(text: str) -> pa.Table:
    """The peer: a loop with split(), to the same columns of the same types."""
    rows = []
    for line in text.splitlines()[1:]:
        word = line.split()
        rows.append(
            (
                word[0],
                word[7],
                int(word[8]),
                str(IPv4Address(int(word[1], 16))),
                int(word[2], 16),
                str(IPv4Address(int(word[3], 16))),
                int(word[4], 16),
                str(IPv4Address(int(word[5], 16))),
                int(word[6], 16),
            )
        )
    names = entry_columns(read_entries("").rows)
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


def by_columns(text: str) -> pa.Table:
    return pa.table(entry_columns(read_entries(text).rows))


def only_split(text: str) -> list[list[str]]:
    """Words, and no table: what nobody could do anything with yet."""
    return [line.split() for line in text.splitlines()]


def timed(work: Callable[[], Any], runs: int = RUNS) -> float:
    """The best of some runs, seconds: other processes can only lengthen one."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def test_a_million_entries_become_a_table(text: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = text.read_text()
    assert by_columns(content[:70_000]).equals(by_split(content[: content.rindex("\n", 0, 70_000)]))
    rows_s, table_s = timed(lambda: read_entries(content)), timed(lambda: by_columns(content))
    split_s, words_s = timed(lambda: by_split(content), 1), timed(lambda: only_split(content), 1)
    with capsys.disabled():
        print(f"\n{ENTRIES:,} lines of ip_vs_conn, {len(content) / 1e6:.0f} MB, seconds:")
        print(f"  to rows (what the poller compares)  {rows_s:6.2f}  {ENTRIES / rows_s:12,.0f}/s")
        print(f"  to a table with written addresses   {table_s:6.2f}  {ENTRIES / table_s:12,.0f}/s")
        print(
            f"  a loop with split(), the same table {split_s:6.2f}  {split_s / table_s:.0f} times"
        )
        print(f"  a loop with split(), words only     {words_s:6.2f}  {words_s / rows_s:.1f} times")
    assert table_s <= BAR_S
    assert split_s / table_s >= BAR_RATIO


READ = """
import json, sys
from pathlib import Path
from analyzer.ipvs.proc.entry_rows import entry_columns
from analyzer.ipvs.proc.entry_text import read_entries
read = read_entries(Path(sys.argv[1]).read_text())
columns = entry_columns(read.rows)
status = Path("/proc/self/status").read_text()  # getrusage counts the parent's, too
peak_mb = int(status.split("VmHWM:")[1].split()[0]) / 1024
print(json.dumps({"lines": read.lines, "peak_mb": peak_mb}))
"""


def test_a_process_that_reads_them_stays_small(
    text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", READ, str(text)]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(made.stdout)
    with capsys.disabled():
        print(f"\npeak of a process that reads them to a table: {found['peak_mb']:.0f} MB")
    assert found["lines"] == ENTRIES
    assert found["peak_mb"] <= BAR_MB


def later(rows: Rows, random: np.random.Generator) -> Rows:
    """The table 10 s later: 1 % gone, 1 % in another state, 1 % new, 1 % missed, in any order."""
    now = rows[random.random(len(rows)) > 0.02].copy()
    now["expires_s"] = np.maximum(now["expires_s"] - 10, 0)
    now["state"][random.integers(0, len(now), len(now) // 100)] = b"CLOSE"
    new = now[: len(rows) // 100].copy()
    new["client_ip_low"] = random.integers(0x0B000000, 0x0BFFFFFF, len(new))
    return np.concatenate((now, new))


def test_polls_of_a_million_entries_are_compared_and_stored(
    text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(11)
    rows = read_entries(text.read_text()).rows
    tracker, writer = TableTracker(), RecordingWriter(tmp_path / "run", {})
    timings = []
    for poll in range(1, 21):
        began = time.perf_counter()
        changes = tracker.update(poll * 10 * NS, rows, len(rows))
        compared_s = time.perf_counter() - began
        writer.extend_columns("entries", changes.columns() | {"director": "bal01"})
        timings.append((len(changes), compared_s, time.perf_counter() - began - compared_s))
        rows = later(rows, random)
    writer.close("completed")
    size_mb = sum(part.stat().st_size for part in (tmp_path / "run").rglob("*.parquet")) / 1e6
    changed = sum(count for count, _, _ in timings)
    with capsys.disabled():
        print(f"\n20 polls of {ENTRIES:,} entries, 4 % of them changed between two:")
        print(f"  compared in {max(s for _, s, _ in timings):.2f} s at most")
        print(
            f"  stored in {max(s for _, _, s in timings):.2f} s at most (the first: all appeared)"
        )
        print(f"  on disk: {size_mb:.1f} MB for {changed:,} changes; as texts: {20 * 66:,} MB")
    assert max(s for _, s, _ in timings) <= 5
    assert size_mb < 66
