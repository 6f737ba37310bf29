"""An engine carried out in this process, against a server of this process."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analyzer.client.failures import KINDS
from analyzer.forecast.closings import CLOSES
from loadgen.load.engines import http, sockets
from loadgen.load.engines.rows import CLOSERS, NONE, Row
from loadgen.load.engines.workers.share import parts
from loadgen.load.hold import Hold
from loadgen.load.plan import ClosedModel, Closing, LoadPlan, Request
from loadgen.target import Target
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadgen.load.engines.rows import Block
    from loadgen.load.engines.workers.share import Engine
    from tests.unit.loadgen.servers import Server

ENGINES: dict[str, Engine] = {"http": http.send, "sockets": sockets.send}


@dataclass
class Kept:
    """An outlet that keeps what it is given."""

    stopped: bool = False
    has_sent: bool = False
    most_under_way: int = 0
    texts: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)

    def text(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def row(self, row: tuple[int, ...]) -> None:
        self.rows.append(Row(*row))

    def block(self, rows: Block) -> None:
        self.rows += [Row(*row) for row in rows.tolist()]

    def say(self, line: str) -> None:
        raise AssertionError(line)

    def flush(self, under_way: int = 0) -> None:
        """Nothing has gathered."""
        self.most_under_way = max(self.most_under_way, under_way)

    def sent(self) -> None:
        self.has_sent = True

    def shown(self) -> list[dict[str, Any]]:
        """The rows by number, with names for numbers and None for what is not known."""
        return [self._shown(row) for row in sorted(self.rows, key=lambda row: row.number)]

    def _shown(self, row: Row) -> dict[str, Any]:
        names = {
            "source": self.texts,
            "error": self.texts,
            "failure": KINDS,
            "close": CLOSES,
            "closer": CLOSERS,
        }
        values = {
            name: None if number == NONE else number for name, number in row._asdict().items()
        }
        named = {
            name: None if values[name] is None else texts[getattr(row, name)]
            for name, texts in names.items()
        }
        return values | named


def plan(port: int, requests: int = 5, concurrency: int = 1, **more: Any) -> LoadPlan:
    """A closed-model plan; ``method``, ``path``, ``headers`` and the like go to its request."""
    words = {name: more.pop(name) for name in Request.__slots__ if name in more}
    hold = more.pop("hold", Hold(given_s=(more.pop("hold_s", 0.0),)))
    ends = {"shares": ((more.pop("close", "client"), 1.0),), "hold": hold}
    options: dict[str, Any] = {
        "target": Target(vip=more.pop("vip", "127.0.0.1"), port=port),
        "arrivals": ClosedModel(requests=requests, concurrency=concurrency),
        "request": Request(**words),
        "closing": Closing(**ends),
    }
    return LoadPlan(**options | more)


def carry_out(engine: str, load_plan: LoadPlan) -> list[dict[str, Any]]:
    """The rows of a plan that needs no server of ours."""
    outlet = Kept()
    (share,) = parts(load_plan, time.time_ns())
    ENGINES[engine](share, outlet)
    assert outlet.has_sent
    return outlet.shown()


def sent(engine: str, server: Server, requests: int = 5, **more: Any) -> list[dict[str, Any]]:
    """The rows of a plan carried out at a server."""
    return sent_until(engine, server, lambda outlet: outlet.has_sent, requests, **more)


def sent_until(
    engine: str,
    server: Server,
    enough: Callable[[Kept], bool],
    requests: int = 5,
    concurrency: int = 1,
    outlet: Kept | None = None,
    **more: Any,
) -> list[dict[str, Any]]:
    """The rows of a plan that is stopped as soon as it is enough."""
    outlet = outlet or Kept()

    async def main() -> None:
        async with server.running():
            (share,) = parts(plan(server.port, requests, concurrency, **more), time.time_ns())
            sending = asyncio.create_task(asyncio.to_thread(ENGINES[engine], share, outlet))
            assert await until(lambda: enough(outlet) or sending.done(), 60)
            outlet.stopped = True
            await sending

    asyncio.run(main())
    assert outlet.has_sent
    return outlet.shown()
