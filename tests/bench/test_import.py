"""Import of a poll log in which one entry changes at every poll: processor time per poll.

``IMPORT_POLLS`` (10,000) makes the logs shorter. What stands counts down, as timers do.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

POLLS = int(os.environ.get("IMPORT_POLLS", "10000"))
BIN = Path(sys.executable).parent
AT_S = 1_767_225_600
ENTRIES = "IPVS connection entries\npro expire state source virtual destination\n"
TITLE = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
BUSY_MS = {1: 0.3, 300: 8.0}
"""Of a processor per poll, by how many entries stand."""

Entry = tuple[int, str, int]


def tables(polls: int, standing: int) -> Iterator[list[Entry]]:
    """At each poll the number, the state and the seconds left of each entry."""
    states = [("ESTABLISHED", 900 + at) for at in range(standing)]
    for number in range(polls):
        at = number % standing
        is_open = states[at][0] == "ESTABLISHED"
        states[at] = ("FIN_WAIT", number + 120) if is_open else ("ESTABLISHED", number + 900)
        yield [(at, state, max(0, ends - number)) for at, (state, ends) in enumerate(states)]


def as_text(at_s: int, entries: list[Entry]) -> str:
    rows = "".join(
        f"TCP {left_s // 60:02}:{left_s % 60:02}  {state:<11} "
        f"203.0.113.{at % 250}:{1024 + at} 10.0.0.2:80 10.0.1.2:80\n"
        for at, state, left_s in entries
    )
    return f"{at_s}.000\n{ENTRIES}{rows}"


def as_json(at_s: int, entries: list[Entry]) -> str:
    rows = "".join(
        f"TCP CB0071{at % 250:02X} {1024 + at:04X} 0A000002 0050 0A000102 0050 "
        f"{state:<11} {left_s:7}\n"
        for at, state, left_s in entries
    )
    return json.dumps({"t": at_s, "connections": f"{TITLE}{rows}"}) + "\n"


FORMS: dict[str, Callable[[int, list[Entry]], str]] = {".log": as_text, ".jsonl": as_json}


def busy_s(log: Path, run: Path, form: str, polls: int, standing: int) -> float:
    """Processor time of the import of such a log."""
    with log.open("w") as text:
        for number, entries in enumerate(tables(polls, standing)):
            text.write(FORMS[form](AT_S + number, entries))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([BIN / "analyzer", "import", log, "-o", run], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("standing", BUSY_MS)
def test_a_poll_with_one_changed_entry_is_imported_soon(
    standing: int, form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    polls = POLLS if standing == 1 else POLLS // 5
    start_s = busy_s(tmp_path / f"few{form}", tmp_path / "few", form, 2, standing)
    all_s = busy_s(tmp_path / f"many{form}", tmp_path / "many", form, polls, standing)
    per_poll_ms = (all_s - start_s) / polls * 1000
    with capsys.disabled():
        print(f"\n{polls:,} polls of {standing} entries in a {form}: {per_poll_ms:.2f} ms a poll")
        print(f"of {BUSY_MS[standing]:g} ms, {all_s:.1f} s in all")
    assert per_poll_ms <= BUSY_MS[standing]
