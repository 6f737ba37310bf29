"""A cluster without Dask, whose answers are given."""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from loadgen.cluster.clocks import WorkerOffset
from loadgen.cluster.connection import ConnectedWorker
from loadgen.cluster.crew import Crew, KnownWorker, Member
from loadgen.cluster.division import divide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.cluster.connection import Cluster, WorkerState
    from loadgen.load.plan import LoadPlan


class StandIn:
    """Answers as told.

    Args:
        workers: of the cluster.
        answers: by the name of what is asked. One that can be called gets the worker's address and
            what is passed; an error is raised.

    Attributes:
        state: what the scheduler says of each worker.
        asked: address and name, in their order.
        ended: the workers that were to be ended, by address.
    """

    def __init__(self, workers: Sequence[ConnectedWorker], answers: dict[str, Any]) -> None:
        self.answers = answers
        self.state: WorkerState = "there"
        self.asked: list[tuple[str, str]] = []
        self.ended: list[str] = []
        self._workers = list(workers)

    async def workers(self) -> list[ConnectedWorker]:
        return self._workers

    async def run(self, address: str, function: Any, *args: Any, **_more: Any) -> Any:
        self.asked.append((address, function.__name__))
        answer = self.answers.get(function.__name__)
        if callable(answer):
            answer = answer(address, *args)
        if isawaitable(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def state_of(self, _address: str) -> WorkerState:
        return self.state

    async def end(self, address: str) -> None:
        self.ended.append(address)

    @property
    def as_cluster(self) -> Cluster:
        return cast("Cluster", self)


def connected(*names: str) -> list[ConnectedWorker]:
    """Workers whose address and host are their names."""
    return [ConnectedWorker(name=name, address=name, host=name) for name in names]


def crew_of(cluster: StandIn, plan: LoadPlan, workers: Sequence[ConnectedWorker]) -> Crew:
    """All of them, with equal shares, of our clock, each with a capture."""
    shares = divide(plan, [()] * len(workers))
    same = WorkerOffset(offset_ns=0, uncertainty_ns=0)
    return Crew(
        cluster=cluster.as_cluster,
        run="ab12",
        workers=tuple(KnownWorker(worker=worker, offset=same) for worker in workers),
        members=tuple(
            Member(
                number=place + 1,
                worker=worker,
                host=worker.host,
                offset=same,
                share=shares[place],
                captures=True,
            )
            for place, worker in enumerate(workers)
        ),
        local=False,
        shared=False,
        spare=0,
    )
