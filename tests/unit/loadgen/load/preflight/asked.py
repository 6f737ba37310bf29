"""Plans, and a machine and a director that they are set beside."""

from __future__ import annotations

from typing import Any

from loadgen.load.plan import ClosedModel, LoadPlan, OpenModel, Stage
from loadgen.load.preflight import DirectorTable, HostLimits, preflight
from loadgen.target import Target

HOST = HostLimits(ports=28_232, tw_reuse=0, files=1024, somaxconn=4096, conntrack=None)
TABLE = DirectorTable(director="bal01", buckets=4096, lifetime_s=122.5)


def plan(requests: int | None = 50, vip: str = "192.168.10.2", **more: Any) -> LoadPlan:
    options = {"target": Target(vip=vip, port=80), "arrivals": ClosedModel(requests=requests)}
    return LoadPlan(**{**options, **more})


def at_rate(rate: float, duration_s: float = 600) -> dict[str, Any]:
    return {"arrivals": OpenModel(stages=(Stage(duration_s=duration_s, rate_per_s=rate),))}


def lines(load_plan: LoadPlan, host: HostLimits = HOST) -> dict[str, tuple[str, str | None]]:
    return {line.what: (line.here, line.doubt) for line in preflight(load_plan, host, [TABLE])}
