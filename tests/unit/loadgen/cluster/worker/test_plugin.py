"""A worker of Dask that ends closes what bursts hold there."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from loadgen.cluster.worker import links, remote
from loadgen.cluster.worker.messages import Prepared
from loadgen.cluster.worker.questions import Question
from loadgen.director.links.link import parse_link
from loadgen.director.links.snapshot import IPVS

if TYPE_CHECKING:
    from loadgen.cluster.worker.messages import PartOrder

pytest.importorskip("distributed")


class Worker:
    """Dask's, as far as it takes plugins."""

    def __init__(self) -> None:
        self.plugins: dict[str, Any] = {}
        self.added = 0

    async def plugin_add(self, plugin: Any, name: str, *, catch_errors: bool) -> None:
        assert not catch_errors
        self.added += 1
        self.plugins[name] = plugin


class FakePart:
    """A part that says when it is stopped."""

    stopped: list[int] = []  # noqa: RUF012 - of the test

    def __init__(self, order: PartOrder) -> None:
        self._number = order.number

    async def prepare(self) -> Prepared:
        return Prepared()

    async def stop(self) -> None:
        self.stopped.append(self._number)


def order(number: int) -> PartOrder:
    return cast("PartOrder", SimpleNamespace(run="ab12", number=number))


def test_parts_and_links_end_with_their_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "Part", FakePart)
    monkeypatch.setattr(FakePart, "stopped", [])
    worker = Worker()
    open_it = Question(
        run="ab12",
        link=parse_link("lb1=worker:w,exec:env"),
        asked="open",
        args=(),
        more={},
        source=IPVS,
    )

    async def whole() -> None:
        for number in (1, 2):
            await remote.prepare(order(number), dask_worker=worker)
        await links.ask_director(open_it, dask_worker=worker)
        (held,) = links.held_links.values()
        (plugin,) = worker.plugins.values()
        await plugin.teardown(worker=worker)
        assert held.is_closed
        assert remote.pulse("ab12", 1, with_sources=False) is None

    asyncio.run(whole())

    assert worker.added == 1
    assert FakePart.stopped == [1, 2]
    assert links.held_links == {}
