"""One round of one engine for the bench, run inside the client's namespace.

``one_round.py ENGINE PROCESSES REQUESTS CONCURRENCY ROWS [VIP POOL]``, where ROWS is ``recorded``,
or ``dropped`` to carry the same plan out with rows that nobody takes: what recording costs is the
difference. One JSON object comes out.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from analyzer.recording.directory import Recording, RecordingWriter
from loadgen.load.engines.activity import Burst
from loadgen.load.engines.rows import WIDTH, Row
from loadgen.load.engines.workers.pool import Workers
from loadgen.load.plan import ClosedModel, LoadPlan, OpenModel, Request, Stage
from loadgen.load.source_addresses import parse_pool
from loadgen.target import Target

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.load.engines.rows import Block

VIP, PORT = "10.99.0.1", 80
POOL = ("10.99.0.16",)
"""That no host has, for an engine that sends from addresses of its own."""
SAID: list[str] = []
_STARTED, _ENDED = Row._fields.index("started"), Row._fields.index("ended")


def plan(
    engine: Any,
    processes: int,
    requests: int,
    concurrency: int,
    vip: str = VIP,
    pool: tuple[str, ...] = POOL,
) -> LoadPlan:
    """New connections with one GET each; a concurrency of 0 is a schedule of 2,000/s."""
    every = Stage(duration_s=requests / 2000, rate_per_s=2000)
    return LoadPlan(
        target=Target(vip=vip, port=PORT),
        arrivals=ClosedModel(requests=requests, concurrency=concurrency)
        if concurrency
        else OpenModel(stages=(every,)),
        request=Request(method="GET"),
        engine=engine,
        sources=pool if engine == "packets" else (),
        processes=processes,
    )


async def recorded(load_plan: LoadPlan) -> dict[str, Any]:
    """As a run does it: every row into a recording, flushed every 2 s."""
    with tempfile.TemporaryDirectory() as folder:
        writer = RecordingWriter(Path(folder), {})
        flushing = asyncio.create_task(_flush(writer))
        async with Burst(load_plan, writer, lambda _: None, SAID.append) as burst:
            await burst.done()
        flushing.cancel()
        writer.close("completed")
        table = Recording.open(Path(folder)).table("requests")
        began, ended = table["started"].astype("int64"), table["ended"].astype("int64")
        late_ms = (began - table["scheduled"].astype("int64")) / 1e6
        return {
            "requests": len(table),
            "failed": int(table["error"].notna().sum()),
            "rate_per_s": len(table) / ((ended.max() - began.min()) / 1e9),
            "late_ms": {str(p): float(np.percentile(late_ms, p)) for p in (50, 99, 100)},
        }


async def _flush(writer: RecordingWriter) -> None:
    while True:
        await asyncio.sleep(2)
        writer.flush()


async def dropped(load_plan: LoadPlan) -> dict[str, Any]:
    """The same, and each block is dropped as it comes."""
    seen = {"rows": 0, "first": 1 << 62, "last": 0}

    def take(rows: Block, _: Sequence[str]) -> None:
        assert rows.shape[1] == WIDTH
        seen["rows"] += len(rows)
        seen["first"] = min(seen["first"], int(rows[:, _STARTED].min()))
        seen["last"] = max(seen["last"], int(rows[:, _ENDED].max()))

    workers = Workers(load_plan, take, SAID.append)
    await workers.start()
    await workers.sent()
    await workers.stop()
    return {
        "requests": seen["rows"],
        "failed": 0,
        "rate_per_s": seen["rows"] / ((seen["last"] - seen["first"]) / 1e9),
    }


def main(
    engine: str,
    processes: str,
    requests: str,
    concurrency: str,
    rows: str,
    vip: str = VIP,
    pool: str = ",".join(POOL),
) -> None:
    """Carry it out and say what came of it."""
    numbers = (int(processes), int(requests), int(concurrency))
    load_plan = plan(engine, *numbers, vip, parse_pool(pool))
    began = time.process_time()
    found = asyncio.run({"recorded": recorded, "dropped": dropped}[rows](load_plan))
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    found["cpu_s"] = time.process_time() - began + children.ru_utime + children.ru_stime
    found["workers_cpu_s"] = children.ru_utime + children.ru_stime
    found["said"] = SAID
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
