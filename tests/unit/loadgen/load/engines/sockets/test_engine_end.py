"""What the sockets engine alone does: it is stopped in mid-run by a fail-over's end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadgen.load.engines.sockets import engine
from tests.unit.loadgen.load.engines.conduct import Kept, sent_until
from tests.unit.loadgen.servers import Server
from tests.unit.waiting import until

if TYPE_CHECKING:
    import asyncio

    import pytest


class SeenToStop(Kept):
    """An outlet that notes when the engine has seen that it is to stop."""

    has_seen = False
    _stopped = False

    @property
    def stopped(self) -> bool:
        self.has_seen = self._stopped
        return self._stopped

    @stopped.setter
    def stopped(self, stopped: bool) -> None:
        self._stopped = stopped


@dataclass
class Thoughtful(Server):
    """It answers when the engine has seen that it is to stop."""

    outlet: SeenToStop = field(default_factory=SeenToStop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await until(lambda: self.outlet.has_seen)
        await super()._answer(reader, writer)


def test_what_was_just_asked_when_it_ends_may_still_be_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "_GRACE_S", 60.0)  # it ends with the last answer
    server = Thoughtful()
    asked = server.asked.is_set
    (row,) = sent_until("sockets", server, lambda _: asked(), 50, outlet=server.outlet)
    assert (row["error"], row["status"]) == (None, 200)
