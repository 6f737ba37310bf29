"""What the client's neighbour table says of an address."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from loadgen.load.neighbour import neighbour_state

if TYPE_CHECKING:
    from pathlib import Path

FAILED = '[{"dst":"192.0.2.99","dev":"eth0","state":["FAILED"]}]'


@pytest.fixture
def ip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``ip`` that prints what stands beside it, and notes how it was called."""
    program = tmp_path / "ip"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/called\ncat {tmp_path}/printed\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        (FAILED, "FAILED"),
        (FAILED.replace("FAILED", "REACHABLE"), "REACHABLE"),
        ("[]", None),
        ("", None),
        ("[{}]", None),
        ('{"state":1}', None),
        ('[{"state":[]}]', None),
    ],
)
def test_the_state_is_read_and_what_is_none_is_none(
    ip: Path, printed: str, state: str | None
) -> None:
    (ip / "printed").write_text(printed)
    assert asyncio.run(neighbour_state("192.0.2.99")) == state
    assert (ip / "called").read_text() == "-json neigh show to 192.0.2.99\n"


def test_without_ip_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert asyncio.run(neighbour_state("192.0.2.99")) is None
