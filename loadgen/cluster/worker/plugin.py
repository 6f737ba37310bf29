"""What a worker does before it ends: it closes what bursts hold there.

A worker of Dask ends by itself when its scheduler is lost, or when it is told to, and its process
would not: a capture is a thread of it, and the engine sends until its parent is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from loadgen.cluster.worker import links, remote

if TYPE_CHECKING:
    from distributed import Worker

NAME = "loadgen"


class ClosesWhatIsHeld(WorkerPlugin):
    """Ends parts and links with the worker."""

    async def teardown(self, worker: Worker) -> None:
        """Close them; the parts are whole on disk afterwards."""
        await remote.close_all()
        await links.close_all()


async def close_with(dask_worker: Any) -> None:
    """Have a worker close what bursts hold there when it ends; None outside of Dask."""
    if dask_worker is not None and NAME not in dask_worker.plugins:
        await dask_worker.plugin_add(ClosesWhatIsHeld(), name=NAME, catch_errors=False)
