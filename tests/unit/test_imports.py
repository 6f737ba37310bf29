"""Imports run one way, and the analyzer thinks without touching the world."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "analyzer").rglob("*.py"))
RUN_DIRECTORY = ROOT / "analyzer" / "recording" / "directory"
SPILL = ROOT / "analyzer" / "recording" / "spill"
ON_DISK = [
    *(ROOT / "analyzer" / "parts" / name for name in ("inputs.py", "mapped.py")),
    *(RUN_DIRECTORY / name for name in ("files.py", "reader.py", "writer.py")),
    *(SPILL / f"{name}.py" for name in ("buckets", "files", "folder", "store", "tasks", "turns")),
]
"""The only modules of the analyzer that touch a disk."""

WORLDLY = {
    "aiohttp",
    "asyncio",
    "click",
    "datetime",
    "http",
    "io",
    "jinja2",
    "loadgen",
    "multiprocessing",
    "plotly",
    "reports",
    "rich",
    "scapy",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "urllib",
    "uvloop",
}
DISSECTS = "vrrp.py"
"""The only one that asks scapy what a frame says; it is asked for nothing else."""

PICKLES = SPILL / "tasks.py"
"""The only one that has a use for a file in memory."""

WAITS = SPILL / "turns.py"
"""The only one that waits: until other processes have said how many rows they write."""

DISK = {"mmap", "os", "pathlib", "shutil", "tempfile"}
PURE = {("os", "strerror"), ("threading", "get_native_id")}
"""What even the analyzer may take from them: libc's table of words, a thread's number."""

CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "sleep", "localtime", "gmtime", "now"}
FILE_CALLS = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "fromfile", "memmap"}


def imported(tree: ast.AST) -> set[str]:
    """Top-level names of the packages that a module imports when it runs."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if {(node.module, alias.name) for alias in node.names} <= PURE:
                continue
            found.add((node.module or "").partition(".")[0])
    return found


def called(tree: ast.AST) -> set[str]:
    """Every call, as it is written: ``open``, ``time.time``, ``path.read_text``."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def trees() -> list[object]:
    return [pytest.param(path, id=str(path.relative_to(ROOT / "analyzer"))) for path in MODULES]


def test_the_contract_of_layers_is_kept() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    shown = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert shown.returncode == 0, shown.stdout
    assert "0 broken" in shown.stdout


def test_there_is_an_analyzer_to_look_at() -> None:
    assert len(MODULES) > 15
    assert set(ON_DISK) < set(MODULES)


@pytest.mark.parametrize("path", trees())
def test_the_analyzer_imports_nothing_that_acts(path: Path) -> None:
    found = imported(ast.parse(path.read_text()))
    allowed = {"scapy"} if path.name == DISSECTS else {"io"} if path == PICKLES else set()
    assert not found & (WORLDLY - allowed)
    if path not in ON_DISK:
        assert not found & DISK


@pytest.mark.parametrize("path", trees())
def test_the_analyzer_reads_no_clock(path: Path) -> None:
    """Only the stopwatch of ``timings_s`` is allowed: it measures the analysis itself."""
    calls = called(ast.parse(path.read_text()))
    clocks = {call for call in calls if call.rpartition(".")[0] in ("time", "datetime", "date")}
    waits = {"time.sleep"} if path == WAITS else set()
    assert {call for call in clocks - waits if call.rpartition(".")[2] in CLOCKS} == set()
    assert clocks - waits <= {"time.perf_counter"}


@pytest.mark.parametrize("path", trees())
def test_only_the_recording_touches_a_disk(path: Path) -> None:
    if path in ON_DISK:
        return
    calls = called(ast.parse(path.read_text()))
    names = {call.rpartition(".")[2] for call in calls if call != "Recording.open"}
    assert not names & FILE_CALLS


def test_the_look_at_imports_sees_what_it_is_to_see() -> None:
    source = (
        "if TYPE_CHECKING:\n    import socket\nimport asyncio.subprocess\n"
        "def f():\n    from http.client import x\n    open('y')\n    time.time()\n"
    )
    assert imported(ast.parse(source)) == {"asyncio", "http"}
    assert {"open", "time.time"} <= called(ast.parse(source))
