"""Where a run goes, and through which interface it leaves."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from loadgen.burst import interface_to, new_run_directory
from loadgen.capture import CaptureRefused


def test_a_run_directory_is_named_after_the_utc_time_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "gmtime", lambda: time.struct_time((2026, 11, 22, 9, 8, 7, 0, 0, 0)))
    first = new_run_directory("burst")
    assert first == Path("runs/20261122T090807Z-burst")
    first.mkdir(parents=True)
    assert new_run_directory("burst") == Path("runs/20261122T090807Z-burst-2")
    assert new_run_directory("sweep") == Path("runs/20261122T090807Z-sweep")


def test_loopback_is_reached_through_lo() -> None:
    assert interface_to("127.0.0.1") == "lo"


@pytest.mark.parametrize("address", ["not an address", "999.1.1.1"])
def test_no_route_is_no_capture(address: str) -> None:
    with pytest.raises(CaptureRefused, match="no route"):
        interface_to(address)
