"""What the sockets engine alone does: it is stopped in mid-run by a fail-over's end."""

from __future__ import annotations

import asyncio

from tests.unit.loadgen.load.engines.conduct import sent_until
from tests.unit.loadgen.servers import Server


class Thoughtful(Server):
    """It answers when the engine has long seen that it is to stop."""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.08)  # the engine shows nobody that it has seen the stop
        await super()._answer(reader, writer)


def test_what_was_just_asked_when_it_ends_may_still_be_answered() -> None:
    server = Thoughtful()
    (row,) = sent_until("sockets", server, lambda _: server.asked.is_set(), 50)
    assert (row["error"], row["status"]) == (None, 200)
