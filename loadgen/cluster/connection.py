"""A Dask cluster, connected: its workers by name, and functions run on one of them.

Everything that Dask raises becomes an error of ours here. What a worker or a scheduler says in an
error is not shown: nobody knows who wrote it.
"""

from __future__ import annotations

import asyncio
import logging
import warnings
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from loadgen.errors import RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from loadgen.cluster.address import ClusterAddress

Answer = TypeVar("Answer")
WorkerState = Literal["there", "gone", "forgotten", "unknown"]
"""``forgotten`` by a scheduler that was started again; ``unknown`` if there is none to ask."""

CONNECT_S = 10.0
ANSWER_S = 20.0

START_S = 60.0
"""A worker loads the program when it is first asked."""

_MOST_CHARACTERS = 80
_NOT_INSTALLED = (
    "--cluster: dask.distributed is not installed; expected pip install 'ipvs-loadgen[cluster]'"
)


class WorkerLost(RunFailed):
    """A worker did not answer, or not what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedWorker:
    """A worker of the cluster.

    Attributes:
        name: as Dask has it; its address, without the scheme, where that is its name or another
            worker has the same.
        address: as Dask writes it.
        host: its part of the address.
    """

    name: str
    address: str
    host: str


class Cluster:
    """A connected cluster.

    Args:
        client: Dask's, asynchronous.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._scheduler: str | None = None  # its id; another one has forgotten the workers

    async def workers(self) -> list[ConnectedWorker]:
        """Those that the scheduler has now, in the order of their names.

        Raises:
            WorkerLost: the scheduler does not answer.
        """
        found = await self._identity()
        self._scheduler = self._scheduler or found["id"]
        return _named(found["workers"])

    async def _identity(self) -> Any:
        try:
            asking = self._client.scheduler.identity(n_workers=-1)
            return await asyncio.wait_for(asking, CONNECT_S)
        except Exception as error:
            raise WorkerLost("--cluster: the scheduler does not answer") from error

    async def state_of(self, address: str) -> WorkerState:
        """What the scheduler says of a worker that was there."""
        try:
            found = await self._identity()
        except WorkerLost:
            return "unknown"
        if found["id"] != self._scheduler:
            return "forgotten"
        return "there" if address in found["workers"] else "gone"

    async def end(self, address: str) -> None:
        """Have a stalled worker's nanny end it, and with it its engine; as far as that goes."""
        with suppress(Exception):
            ending = self._client.restart_workers(
                [address], timeout=ANSWER_S, raise_for_error=False
            )
            await asyncio.wait_for(ending, ANSWER_S)

    async def run(
        self,
        address: str,
        function: Callable[..., Any],
        *args: Any,
        limit_s: float = ANSWER_S,
        **more: Any,
    ) -> Any:
        """What a function returns on one worker.

        Raises:
            WorkerLost: it raised something, the worker is gone, or it took longer than ``limit_s``.
        """
        try:
            asking = self._client.run(function, *args, workers=[address], **more)
            return (await asyncio.wait_for(asking, limit_s))[address]
        except Exception as error:
            raise WorkerLost("a worker did not answer") from error


def _named(found: Mapping[str, Mapping[str, Any]]) -> list[ConnectedWorker]:
    names: dict[str, str] = {}
    taken = {_without_scheme(address) for address in found}  # each may yet be its worker's name
    for address, facts in sorted(found.items(), key=lambda item: _place(item[1].get("name"))):
        shown = _shown(facts.get("name"), address)
        names[address] = shown if shown not in taken else _without_scheme(address)
        taken.add(shown)
    return [
        ConnectedWorker(name=name, address=address, host=_host_of(address))
        for address, name in names.items()
    ]


def _place(name: object) -> tuple[int, str]:
    """Numbers by their value, then texts."""
    return (name, "") if isinstance(name, int) else (2**62, str(name))


def _shown(name: object, address: str) -> str:
    """A name as it may be printed."""
    if isinstance(name, int):
        return f"worker-{name}"
    text = "".join(filter(str.isprintable, str(name)))[:_MOST_CHARACTERS].strip()
    return text if text and text != address else _without_scheme(address)


def _without_scheme(address: str) -> str:
    return address.partition("://")[2]


def _host_of(address: str) -> str:
    return _without_scheme(address).rpartition(":")[0].strip("[]")


@asynccontextmanager
async def connected(address: ClusterAddress) -> AsyncIterator[Cluster]:
    """Connect to a scheduler, or start workers on this host; they end with the context.

    Dask's own configuration holds, TLS included.

    Raises:
        UsageProblem: Dask is not installed, the scheduler cannot be reached, or TLS is not set up.
    """
    distributed = load_dask()
    opening = _local(distributed, address.local) if address.local else _far(distributed, address)
    async with opening as client:
        yield Cluster(client)


def load_dask() -> Any:
    """Its module, quiet.

    Raises:
        UsageProblem: it is not installed.
    """
    try:
        import distributed
    except ImportError:
        raise UsageProblem(_NOT_INSTALLED) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # it quotes what workers say
    warnings.filterwarnings("ignore", module=r"distributed\.")
    return distributed


def check_keys(distributed: Any, address: ClusterAddress) -> None:
    """See that Dask's configuration names keys that can be read, before anything is opened."""
    if address.is_open:
        return
    try:
        context = distributed.Security().get_connection_args("client").get("ssl_context")
    except (OSError, TypeError, ValueError):  # no file, no right to read it, not in PEM
        context = None
    if context is None:
        raise UsageProblem(
            f"--cluster {address.text}: Dask's configuration does not go with it; expected TLS "
            "files that can be read under distributed.comm.tls (docs/cluster.md)"
        )


def no_scheduler(address: ClusterAddress) -> UsageProblem:
    """That nobody answers at an address."""
    return UsageProblem(
        f"--cluster {address.text}: no scheduler of Dask answers there; expected one within "
        f"{CONNECT_S:g} s, with the same certificates"
    )


def local_options(distributed: Any, workers: int) -> dict[str, Any]:
    """Of a ``LocalCluster`` on the loopback, with keys of its own that never touch a disk.

    Raises:
        UsageProblem: what makes the keys is not installed.
    """
    try:
        security = distributed.Security.temporary()
    except ImportError:
        raise UsageProblem(_NOT_INSTALLED) from None
    return {
        "n_workers": workers,
        "threads_per_worker": 1,
        "memory_limit": 0,
        "processes": True,
        "host": "127.0.0.1",
        "protocol": "tls://",
        "security": security,
        "dashboard_address": "127.0.0.1:0",
        "scheduler_kwargs": {"dashboard": False},
        "worker_dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
    }


@asynccontextmanager
async def _far(distributed: Any, address: ClusterAddress) -> AsyncIterator[Any]:
    check_keys(distributed, address)
    try:
        client = await _within(
            distributed.Client(
                address.scheduler, asynchronous=True, set_as_default=False, timeout=CONNECT_S
            ),
            CONNECT_S * 2,
        )
    except (OSError, TimeoutError, TypeError, ValueError, RuntimeError) as error:
        raise no_scheduler(address) from error
    try:
        yield client
    finally:
        await _closed(client)


@asynccontextmanager
async def _local(distributed: Any, workers: int) -> AsyncIterator[Any]:
    """Workers on the loopback (``local_options``)."""
    from loadgen.cluster.worker.remote import leave_interrupts

    options = local_options(distributed, workers)
    cluster = await _within(distributed.LocalCluster(**options, asynchronous=True), START_S)
    try:
        client = await distributed.Client(
            cluster, security=options["security"], asynchronous=True, set_as_default=False
        )
        try:
            await client.run(leave_interrupts)
            yield client
        finally:
            await _closed(client)
    finally:
        await _closed(cluster)


async def _within(opening: Awaitable[Answer], limit_s: float) -> Answer:
    return await asyncio.wait_for(_awaited(opening), limit_s)


async def _awaited(opening: Awaitable[Answer]) -> Answer:
    return await opening


async def _closed(what: Any) -> None:
    """Close it; one whose other end is gone may not be able to say good-bye."""
    with suppress(Exception):
        await asyncio.wait_for(what.close(), ANSWER_S)
