"""This machine, as it is read."""

from __future__ import annotations

from loadgen.load.preflight import read_host


def test_this_machine_can_be_read() -> None:
    host = read_host()
    assert 1 <= host.ports <= 65535
    assert host.files > 0
