"""A web server, and surroundings without configuration, for the commands' tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.unit.loadgen.commands.web import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site() -> Iterator[Site]:
    found = Site()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration but the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LOADGEN_DIRECTOR", "LOADGEN_LAB", "LOADGEN_TRACEBACK"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def director(tmp_path: Path, site: Site) -> str:
    """A director that is this machine, but for the tables that a ``cat`` of ours shows."""
    folder = tmp_path / "bin"
    folder.mkdir()
    services = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
        f"TCP  7F000001:{site.port:04X} rr\n"
        f"  -> 0A000001:{site.port:04X}      Route   1      1          7\n"
    )
    entries = "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n"
    (folder / "ip_vs").write_text(services)
    (folder / "ip_vs_conn").write_text(entries)
    programs = {
        "cat": f'for f; do case $f in /proc/net/ip_vs*) f={folder}/"${{f##*/}}";; esac; '
        '/bin/cat "$f"; done',
        "sed": "exit 1",  # without it, each look is a cat
        "ipvsadm": "echo 'Timeout (tcp tcpfin udp): 900 120 300'",
    }
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return f"exec:env PATH={folder}:{os.environ['PATH']}"
