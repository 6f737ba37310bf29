"""What a doubter asks for first stands first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analyzer.ipvs.table_status import TableStatus
from analyzer.recording.manifest import manifest_of
from analyzer.report import DirectorTable, KernelLaw
from reports.run import text
from reports.run.sections.provenance import laws, summary, tables
from tests.unit.reports import builders_analysis as build


def test_the_facts_of_the_run_and_of_each_director() -> None:
    shown = dict(summary(manifest_of(build.MANIFEST)))
    assert shown["command line"] == "loadgen burst --vip 192.168.10.2 -n 50"
    assert shown["program"] == "name loadgen, version 0.1.0"
    assert shown["bal01: timeouts"] == "tcp 900, tcpfin 20, udp 300"
    assert shown["bal02: HZ"] == "100"
    assert shown["bal01: clock offset"] == "from its uptime at each poll, ± 0.6 ms"
    assert shown["packets dropped by the capture"] == "0"


def test_how_well_a_directors_clock_is_known_stands_with_its_unit() -> None:
    polled = {"directors": {"bal01": {"boot_at_ns": 1, "clock_uncertainty_ms": 1.313}}}
    words = "from its uptime at each poll, ± 1.3 ms"
    assert dict(summary(manifest_of(polled)))["bal01: clock offset"] == words


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"directors": None, "capture": None},
        {"directors": {"a": {}}, "host": {"cpus": None}},
    ],
)
def test_what_is_not_there_is_not_measured(manifest: dict[str, Any]) -> None:
    shown = dict(summary(manifest_of(manifest)))
    assert shown["command line"] is None
    assert shown["packets dropped by the capture"] is None


TABLE = DirectorTable(
    director="bal01",
    buckets=4096,
    most_buckets=4096,
    resizes=False,
    conn_max=None,
    entry_bytes=None,
    before=None,
    fullest=None,
    at_end=None,
)
FULLEST = TableStatus(
    entries=126, buckets=2048, lfactor=-4, empty_buckets=1928, chains={"1": 114, "2": 6}
)


def test_the_table_is_shown_with_its_size_and_at_its_fullest() -> None:
    grown = replace(TABLE, buckets=256, most_buckets=2048, resizes=True, conn_max=20)
    run = replace(build.demo(), tables=(TABLE, replace(grown, entry_bytes=288, fullest=FULLEST)))
    assert list(tables(run)) == [
        ("bal01: table of entries", "4,096 buckets"),
        (
            "bal01: table of entries",
            "256 buckets when the run began; it grows by itself; 2,048 were seen; at most 20 "
            "entries (conn_max); at least 288 bytes per entry, by the kernel's log",
        ),
        (
            "bal01: table at its fullest",
            "126 entries in 2,048 buckets (lfactor -4), chains of up to 2 (/proc/net/ip_vs_status)",
        ),
    ]
    line = (
        "bal01's table at its fullest: 126 entries in 2,048 buckets (lfactor -4), chains of up to 2"
    )
    assert line in text.summary_lines(run)


def test_a_table_that_the_kernel_does_not_tell_of_is_said_to_be_not_measured() -> None:
    run = replace(build.demo(), tables=(replace(TABLE, resizes=True),))
    fullest = dict(tables(run))["bal01: table at its fullest"]
    assert fullest is not None
    assert fullest.startswith("not measured: ")
    assert not any("fullest" in line for line in text.summary_lines(run))
    assert dict(tables(replace(run, tables=(replace(TABLE, buckets=None),)))) == {
        "bal01: table of entries": None
    }


def test_the_law_that_was_used_is_named_with_the_doubt_about_it() -> None:
    law = KernelLaw(
        director="bal01",
        kernel="6.1.176",
        law="6.1",
        assumed=False,
        since=("Since 4.8: this. [reported]",),
        uncertain=("Since 7.2: that. [source] (stable trees of July 2026 have it)",),
    )
    assert list(laws(replace(build.demo(), laws=(law,)))) == [
        ("bal01: IPVS law", "Linux 6.1. Since 4.8: this. [reported]"),
        (
            "bal01: may also hold, if carried back",
            "Since 7.2: that. [source] (stable trees of July 2026 have it)",
        ),
    ]
    unknown = replace(law, kernel=None, assumed=True, uncertain=())
    assert list(laws(replace(build.demo(), laws=(unknown,)))) == [
        (
            "bal01: IPVS law",
            "Linux 6.1, assumed: its kernel is not known. Since 4.8: this. [reported]",
        )
    ]
