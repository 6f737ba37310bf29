"""The workers of a Dask cluster, for parts of an analysis.

A part is a task: one that was lost with its worker is run again by Dask, with the same result.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from loadgen.cluster.connection import (
    CONNECT_S,
    check_keys,
    load_dask,
    local_options,
    no_scheduler,
)
from loadgen.cluster.worker.remote import leave_interrupts
from loadgen.errors import RunFailed, UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor, Future
    from pathlib import Path

    from loadgen.cluster.address import ClusterAddress


class ClusterWorkers:
    """Those that are there now.

    Args:
        client: Dask's.
        count: how many they are.
    """

    in_order = False

    def __init__(self, client: Any, count: int) -> None:
        self.count = count
        self._client = client

    def sees(self, folder: Path) -> bool:
        """Whether all of them see a folder under the same name."""
        try:
            return all(self._client.run(os.path.isdir, str(folder.absolute())).values())
        except Exception as error:
            raise _lost() from error

    def executor(self) -> Executor:
        """Where tasks run."""
        executor: Executor = self._client.get_executor(pure=False)
        return executor

    def answer(self, running: Future[bytes]) -> bytes:
        """The result of a task.

        Raises:
            RunFailed: the workers or the scheduler are lost.
        """
        try:
            return running.result()
        except Exception as error:
            raise _lost() from error


def _lost() -> RunFailed:
    return RunFailed(
        "--cluster: the workers did not answer; expected the same version of loadgen on all of "
        "them, and enough memory"
    )


@contextmanager
def cluster_workers(address: ClusterAddress) -> Iterator[ClusterWorkers]:
    """Connect to a scheduler, or start workers on this host; they end with the context.

    Raises:
        UsageProblem: Dask is not installed, no scheduler answers, or it has no workers.
    """
    distributed = load_dask()
    with ExitStack() as closing:
        client = _client(distributed, address, closing)
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        if not count:
            raise UsageProblem(f"--cluster {address.text}: it has no workers; expected some")
        yield ClusterWorkers(client, count)


def _client(distributed: Any, address: ClusterAddress, closing: ExitStack) -> Any:
    if address.local:
        options = local_options(distributed, address.local)
        cluster = closing.enter_context(distributed.LocalCluster(**options))
        client = closing.enter_context(
            distributed.Client(cluster, security=options["security"], set_as_default=False)
        )
        client.run(leave_interrupts)
        return client
    check_keys(distributed, address)
    try:
        client = distributed.Client(address.scheduler, set_as_default=False, timeout=CONNECT_S)
    except (OSError, TimeoutError, TypeError, ValueError, RuntimeError) as error:
        raise no_scheduler(address) from error
    return closing.enter_context(client)
