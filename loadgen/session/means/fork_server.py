"""What the server that worker processes are forked from does first: it imports this module.

It ends when the process that it works for has ended, and the last worker: who was killed did not
delete the folder of its socket, even if no worker had begun.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = "LOADGEN_FORK_SERVER_FOLDER"


@contextmanager
def about_to_start() -> Iterator[None]:
    """While the server is started: Ctrl-C stays with this process, as it stays blocked there.

    A terminal sends it to all of them, and the server would print where its imports were.
    """
    resource_tracker.ensure_running()  # to start it later would unblock the signal
    os.environ[_FOLDER] = get_temp_dir()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        del os.environ[_FOLDER]


def _delete_at_exit(folder: Path) -> None:
    if folder.name.startswith(
        "pymp-"
    ):  # as the server's employer names it; "" in any other process
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


_delete_at_exit(Path(os.environ.pop(_FOLDER, "")))
