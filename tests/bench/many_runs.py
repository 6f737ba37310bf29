"""A folder of many small runs with their analyses, as months of nightly bursts leave it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np

from analyzer.analysis import analyse
from analyzer.recording.directory import ANALYSIS, MANIFEST, Recording
from analyzer.report import to_json

RECORDED = Path(__file__).resolve().parents[1] / "data" / "dr-burst-50"
NIGHT_NS = 86_400 * 1_000_000_000


def write_runs(folder: Path, runs: int) -> Path:
    """So many runs of one load: slower since the middle, one in a thousand unreadable; ``folder``.

    Args:
        folder: is made.
        runs: how many.
    """
    recording = Recording.open(RECORDED)
    document, manifest = to_json(analyse(recording)), dict(recording.manifest.raw)
    random = np.random.default_rng(1)
    for number in range(runs):
        run = folder / f"run-{number:05}"
        run.mkdir(parents=True)
        started = {"started_at_ns": manifest["started_at_ns"] + number * NIGHT_NS}
        (run / MANIFEST).write_text(json.dumps(manifest | started))
        slower = 1.5 if number > runs / 2 else 1.0
        found = _varied(document, slower * random.lognormal(0, 0.03), random)
        (run / ANALYSIS).write_text(json.dumps(found))
        if number % 1000 == 999:
            (run / MANIFEST).write_text("{}")
    return folder


def _varied(document: dict[str, Any], factor: float, random: np.random.Generator) -> dict[str, Any]:
    found = copy.deepcopy(document)
    requests = found["requests"]
    for latency in ("connect_ms", "first_byte_ms", "total_ms"):
        requests[latency] = {name: ms * factor for name, ms in requests[latency].items()}
    requests["failed"] = int(random.binomial(requests["sent"], 0.01))
    for row in found["lifetimes"]:
        if row["timeout_measured_s"]:
            row["timeout_measured_s"]["value"] += random.normal(0, 0.02)
    return found
