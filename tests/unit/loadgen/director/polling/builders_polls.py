"""Builders of polls: a fake director answers, a poller records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pandas as pd

from analyzer.ipvs.proc.formats import parse_services
from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.director.boot_facts import BootFacts
from loadgen.director.polling.poller import Poller
from loadgen.director.polling.watched import Watched, watch_targets
from loadgen.director.settings import parse_settings
from loadgen.target import Target
from tests.unit.loadgen.director.fakes import (
    ENTRIES_HEADER,
    SERVICES,
    FakeShell,
)
from tests.unit.waiting import LIMIT_S

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from loadgen.director.links.client import DirectorClient


OURS = watch_targets([Target(vip="192.168.10.2", port=80)])


STATS = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
  -> RemoteAddress:Port
TCP  192.168.10.2:80                     8       44        0     2867        0
  -> 192.168.10.21:80                    4       20        0     1291        0
  -> 192.168.10.22:80                    4       24        1     1576       40
"""

SETTINGS = "@timeouts\nTimeout (tcp tcpfin udp): 900 {} 300\n@daemon\n@sysctl\n@end\n"


def take_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no director lost because a busy machine did not let it answer for three seconds."""
    monkeypatch.setattr("loadgen.director.links.shell.CONNECT_TIMEOUT_S", LIMIT_S)
    for module in ("poller", "counter_polls", "settings_polls", "table_polls"):
        monkeypatch.setattr(f"loadgen.director.polling.{module}.POLL_TIMEOUT_S", LIMIT_S)


def uptime(seconds: float = 1000.0) -> str:
    return f"{seconds:.2f} {seconds:.2f}\n"


def answer(*entries: str, at_s: float = 1000.0, services: str = SERVICES) -> str:
    """What a poll that asks for entries is answered."""
    return uptime(at_s) + services + ENTRIES_HEADER + "".join(entries)


def polled(
    fake: FakeShell,
    path: Path,
    *,
    watched: Watched = OURS,
    director_cpu: float = 100,  # of which a poll that took 2 ms is nothing
    facts: BootFacts | None = None,
    boot_ns: int | None = None,
    client: DirectorClient | None = None,
) -> tuple[Poller, Recording]:
    """A poller run until its shell has said all it had to say."""
    recording = RecordingWriter(path, {})
    poller = Poller(
        client or fake.client,
        recording,
        watched=watched,
        facts=facts,
        director_cpu=director_cpu,
        boot_ns=boot_ns,
    )

    async def main() -> None:
        async with poller:
            await fake.used_up.wait()

    asyncio.run(main())
    recording.close("completed")
    return poller, Recording.open(path)


def facts_of(kernel: str | None, director_settings: str = "") -> BootFacts:
    """What a director gave before its first poll."""
    return BootFacts(
        kernel=kernel,
        macs=(),
        director_settings=parse_settings(director_settings),
        services=parse_services(SERVICES),
        timeouts=None,
        timeouts_source=None,
        timer_phase=None,
        timer_phase_source=None,
    )


def rows(recording: Recording, table: str, *columns: str) -> list[tuple[Any, ...]]:
    frame = recording.table(table)[list(columns)].astype(object)
    return [
        tuple(None if pd.isna(cell) else cell for cell in row)
        for row in frame.itertuples(index=False)
    ]
