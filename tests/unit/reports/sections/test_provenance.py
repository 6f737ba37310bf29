"""What a doubter asks for first stands first."""

from __future__ import annotations

from typing import Any

import pytest

from reports.sections.provenance import summary
from tests.unit.reports import build


def test_the_facts_of_the_run_and_of_each_director() -> None:
    told = dict(summary(build.MANIFEST))
    assert told["command line"] == "loadgen burst --vip 192.168.10.2 -n 50"
    assert told["program"] == "ipvs-loadgen 0.1.0"
    assert told["bal01: timeouts"] == "tcp 900, tcpfin 20, udp 300"
    assert told["bal02: HZ"] == "100"
    assert told["bal01: clock offset"] == "offset_ms -3.1, uncertainty_ms 0.6"
    assert told["packets that the kernel dropped"] == "0"


def test_how_well_a_directors_clock_is_known_stands_with_its_unit() -> None:
    polled = {"directors": {"bal01": {"boot_at_ns": 1, "clock_uncertainty_ms": 1.313}}}
    words = "told from its uptime at each poll, to within 1.3 ms"
    assert dict(summary(polled))["bal01: clock offset"] == words


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"directors": None, "capture": "x"},
        {"directors": [1, {"name": None}]},
        {"directors": {"a": "b"}, "host": {"cpus": None}},
    ],
)
def test_what_is_not_there_is_not_measured(manifest: dict[str, Any]) -> None:
    told = dict(summary(manifest))
    assert told["command line"] is None
    assert told["packets that the kernel dropped"] is None
