"""Clocks that jump in the middle of a run: no command faults or warns, and the report names it."""

from __future__ import annotations

import json
import shutil
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from loadgen.commands.analyzer import group

if TYPE_CHECKING:
    from collections.abc import Callable

    from analyzer.arrays import Ints

RUN = Path("tests/data/dr-burst-50")
NS = 10**9
YEAR = 31_557_600 * NS
POLLED = ("polls", "entries", "services", "events")
RECORDED = (*POLLED, "requests")


def by(jump_ns: int) -> Callable[[Ints], Ints]:
    return lambda at_ns: at_ns + jump_ns


def to(instant_ns: int) -> Callable[[Ints], Ints]:
    return lambda at_ns: at_ns % (60 * NS) + instant_ns


JUMPS: dict[str, tuple[tuple[str, ...], Callable[[Ints], Ints]]] = {
    "polls 3 h on": (POLLED, by(3 * 3600 * NS)),
    "polls 3 h back": (POLLED, by(-3 * 3600 * NS)),
    "polls to 1970": (POLLED, to(0)),
    "entries to 1970": (("entries",), to(0)),
    "entries 20 years on": (("entries",), by(20 * YEAR)),
    "packets 20 years back": (("capture",), by(-20 * YEAR)),
    "requests to 2106": (("requests",), to(2**32 * NS)),
    "all to 2106": ((*RECORDED, "capture"), to((2**32 - 60) * NS)),
    "uptime 3 h on": (("uptime",), by(3 * 3600 * NS)),
    "uptime 2 s back": (("uptime",), by(-2 * NS)),
    "uptime 20 years on": (("uptime",), by(20 * YEAR)),
}
OF_ALL_COMMANDS = ("polls 3 h back", "all to 2106", "uptime 20 years on")
STEPPED = {name for name in JUMPS if name.startswith(("polls", "uptime", "all"))}


@pytest.fixture(params=JUMPS)
def jumped(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A folder of two runs, of which the second's clocks jumped in its middle."""
    for name in ("before", "jumped"):
        shutil.copytree(RUN, tmp_path / "runs" / name, copy_function=shutil.copyfile)
    tables, change = JUMPS[request.param]
    run = tmp_path / "runs" / "jumped"
    instants = np.concatenate([instants_of(part, "at") for part in run.glob("polls/*.parquet")])
    half_ns = int(instants.min() + instants.max()) // 2
    for table in tables:
        if table == "capture":
            capture = run / "capture.pcap"
            capture.write_bytes(with_other_stamps(capture.read_bytes(), change))
        for part in sorted(run.glob(f"{'polls' if table == 'uptime' else table}/*.parquet")):
            pq.write_table(changed(part, change, half_ns, uptime=table == "uptime"), part)
    return request.param, tmp_path


def instants_of(part: Path, column: str) -> Ints:
    column_ns = pq.read_table(part, partitioning=None)[column].cast(pa.int64())
    return np.asarray(column_ns.fill_null(0).to_numpy())


def changed(part: Path, change: Callable[[Ints], Ints], half_ns: int, *, uptime: bool) -> pa.Table:
    rows = pq.read_table(part, partitioning=None)
    for number, column in enumerate(rows.schema):
        if uptime and column.name == "director_uptime_s":
            ns = np.rint(rows[column.name].to_numpy() * NS).astype(np.int64)
            late = instants_of(part, "at") >= half_ns
            values: Any = pa.array(np.where(late, change(ns), ns) / NS)
        elif not uptime and pa.types.is_timestamp(column.type):
            ns, missing = instants_of(part, column.name), np.asarray(rows[column.name].is_null())
            late = ns >= (half_ns if part.parent.name != "requests" else np.median(ns))
            values = pa.array(np.where(late, change(ns), ns), mask=missing).cast(column.type)
        else:
            continue
        rows = rows.set_column(number, column, values)
    return rows


def with_other_stamps(capture: bytes, change: Callable[[Ints], Ints]) -> bytes:
    """The later half of a pcap's packets at other times."""
    content, at = bytearray(capture), 24
    in_second = NS if capture[:4] == b"\x4d\x3c\xb2\xa1" else 10**6
    while at < len(content):
        seconds, fraction, length = struct.unpack_from("<III", content, at)
        if at > len(content) // 2:
            instant_ns = int(change(np.array([seconds * NS + fraction * (NS // in_second)]))[0])
            seconds, rest_ns = divmod(instant_ns, NS)
            struct.pack_into("<II", content, at, seconds, rest_ns // (NS // in_second))
        at += 16 + length
    return bytes(content)


def run(*words: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = CliRunner().invoke(group, [str(word) for word in words])
    assert result.exit_code in (0, 99), result.exception or result.output
    assert "Warning:" not in result.stderr
    return result.stdout


def test_a_clock_that_jumps_is_no_fault_and_no_warning_and_is_named(
    jumped: tuple[str, Path],
) -> None:
    name, folder = jumped
    runs, there = folder / "runs", folder / "runs" / "jumped"
    document = json.loads(run("report", there, "--json"))
    assert ("clock-stepped" in {row["id"] for row in document["findings"]}) == (name in STEPPED)
    assert ("clocks were set" in document["verdict"]) == (name in STEPPED)
    if name in OF_ALL_COMMANDS:
        run("report", there, "--format", "csv", "-o", folder / "tables")
        run("anonymise", there, "-o", folder / "anonymous")
        run("check", there, "--expect", "failed<=1")
        run("compare", runs / "before", there)
        run("history", runs)
