"""Folders to import: ``meta.json``, a poll log or a log of ipvsadm, a capture."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import AnalyzerError
from analyzer.recording.directory import Recording
from analyzer.recording.tables import TABLES
from loadgen.errors import LoadgenError
from tests.fuzz.captures import CAPTURES
from tests.fuzz.mutate import OF_TEXT, damaged, damaged_json, to_bytes
from tests.importing import import_folder
from tests.unit.loadgen.importing.sources.builders_packed import PACKERS

if TYPE_CHECKING:
    import random

DATA = Path(__file__).parents[1] / "data"
POLLS = 12
METAS = [json.loads(path.read_bytes()) for path in sorted(DATA.glob("ground-truth/*/meta.json"))]
JSON_LOGS = [
    gzip.decompress(path.read_bytes()).splitlines()[:POLLS]
    for path in sorted(DATA.glob("ground-truth/*/*.jsonl.gz"))
]
LOGS = [
    gzip.decompress(path.read_bytes())[:20_000] for path in sorted(DATA.glob("field/**/*.log.gz"))
]
BEFORE_LINES = [
    b"2026-11-20T04:10:00.123456789Z stdout F ",
    b"Nov 28 03:59:40 lb1 mon[8]: ",
    b"sam. 28 nov. 2026 03:59:40 CET ",
    b"director-1  | ",
    b'{"time": "2026-11-20T04:10:00Z", "log": "',
]


def attempt(chance: random.Random, folder: Path) -> None:
    """One import; nothing is left of one that is refused, and a run is whole."""
    source, run = folder / "source", folder / "run"
    source.mkdir()
    _write(chance, source)
    try:
        import_folder([source], run)
    except (AnalyzerError, LoadgenError):
        assert not run.exists()
        raise
    recording = Recording.open(run)
    for name in TABLES:
        recording.table(name)
    assert [problem for problem in recording.problems if "not readable" in problem] == []


def _write(chance: random.Random, source: Path) -> None:
    if chance.random() < 0.7:
        meta = to_bytes(damaged_json(chance.choice(METAS), chance))
        source.joinpath("meta.json").write_bytes(
            damaged(meta, chance) if chance.random() < 0.2 else meta
        )
    for number in range(chance.choice([0, 0, 0, 1, 2])):
        capture = damaged(chance.choice(CAPTURES), chance)
        source.joinpath(f"capture.pcap{number}").write_bytes(capture)
    content, suffix = _log(chance)
    if chance.random() < 0.3:
        content = PACKERS[chance.choice(sorted(PACKERS))](content)
        content = damaged(content, chance) if chance.random() < 0.3 else content
    elif chance.random() < 0.1:
        content = content.decode(errors="replace").encode("utf-16")
    source.joinpath(f"polls{suffix}").write_bytes(content)


def _log(chance: random.Random) -> tuple[bytes, str]:
    if chance.random() < 0.5:
        text = chance.choice(LOGS)
        if chance.random() < 0.3:
            begin = chance.choice(BEFORE_LINES)
            text = b"".join(begin + line for line in text.splitlines(keepends=True))
        return damaged(text, chance, OF_TEXT), ".log"
    lines = list(chance.choice(JSON_LOGS))
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        poll = json.loads(lines[number])
        if chance.random() < 0.5:
            poll = damaged_json(poll, chance)
        else:
            key = chance.choice(["services", "connections"])
            text = damaged(str(poll.get(key) or "").encode(errors="replace"), chance, OF_TEXT)
            poll[key] = text.decode(errors="surrogateescape")
        lines[number] = to_bytes(poll)
        if not isinstance(poll, dict):
            break
    return b"\n".join(lines) + b"\n", ".jsonl"
