"""Parts of an analysis in other processes: the same document, and a clear error for a lost one."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from analyzer.analysis import analyse
from analyzer.documents import as_text
from analyzer.recording.directory import Recording
from analyzer.recording.spill import ALONE, Means, spilled
from analyzer.recording.spill.tasks import in_other_processes
from analyzer.report import to_json
from loadgen.cluster.parts import ClusterWorkers
from loadgen.errors import RunFailed
from loadgen.session.means.workers import LocalWorkers
from tests.unit.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

RECORDING = Path(__file__).resolve().parents[4] / "data" / "dr-burst-50"
PART_ROWS = 60


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalWorkers]:
    with LocalWorkers(2) as started:
        yield started


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("workers") / "run"
    return Path(shutil.copytree(RECORDING, copy))


def document(run: Path, means: Means) -> str:
    with spilled(run, PART_ROWS, means) as store:
        found = analyse(Recording.open(run), store=store)
    assert not list(run.glob(".loadgen-parts-*"))
    return as_text(to_json(replace(found, timings_s={})))


class Stranger:
    """A Dask client whose worker does not see this host's files."""

    def __init__(self, *, sees: bool | None) -> None:
        self._sees = sees

    def run(self, *_: object) -> dict[str, bool]:
        if self._sees is None:
            raise OSError("the scheduler is away")
        return {"tls://10.9.9.9:4": self._sees, "tls://10.9.9.8:4": True}

    def get_executor(self, **_: object) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(1)


def test_processes_find_what_one_finds(
    run: Path, workers: LocalWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def answer(running: Future[bytes]) -> bytes:
        answers.append(running)
        return LocalWorkers.answer(workers, running)

    monkeypatch.setattr(workers, "answer", answer)
    assert document(run, Means(workers=workers)) == document(run, ALONE)
    assert answers


@pytest.mark.parametrize("sees", [True, False])
def test_a_cluster_finds_the_same_with_and_without_a_shared_folder(
    run: Path, *, sees: bool
) -> None:
    client: Any = Stranger(sees=sees)
    assert document(run, Means(workers=ClusterWorkers(client, 2))) == document(run, ALONE)


def test_a_cluster_that_is_lost_is_a_failed_run_and_leaves_nothing(run: Path) -> None:
    client: Any = Stranger(sees=None)
    with pytest.raises(RunFailed, match=r"^--cluster: the workers did not answer"):
        document(run, Means(workers=ClusterWorkers(client, 2)))
    assert not list(run.glob(".loadgen-parts-*"))


def test_a_process_that_is_killed_is_a_failed_run() -> None:
    with LocalWorkers(1) as workers:
        killed: Any = workers.executor().submit(_end)
        with pytest.raises(RunFailed, match=r"^--processes: one of them was killed"):
            workers.answer(killed)
        with pytest.raises(RunFailed, match=r"^--processes: one of them was killed"):
            list(in_other_processes(workers, abs, [(-1,)]))  # none is left for the next


def test_processes_of_one_that_is_killed_end_with_it_and_leave_no_file(tmp_path: Path) -> None:
    script = tmp_path / "starts.py"
    script.write_text(
        "import os, signal\n"
        "from loadgen.session.means.workers import LocalWorkers\n"
        "if __name__ == '__main__':\n"
        "    workers = LocalWorkers(1)\n"
        "    print(workers.executor().submit(os.getpid).result(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "t").mkdir()
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"TMPDIR": str(tmp_path / "t")},
    )
    assert done.returncode == -signal.SIGKILL
    assert wait_until(lambda: not Path(f"/proc/{int(done.stdout)}").exists())
    assert not list((tmp_path / "t").iterdir())


def test_what_workers_are_forked_from_ends_in_silence_before_there_is_one(tmp_path: Path) -> None:
    script = tmp_path / "starts.py"
    script.write_text(
        "import os, signal, time\n"
        "from loadgen.session.means.workers import LocalWorkers\n"
        "if __name__ == '__main__':\n"
        "    LocalWorkers(1).prepare()\n"
        "    try:\n"
        "        time.sleep(0.1)  # it still imports\n"
        "        os.killpg(0, signal.SIGINT)  # as a terminal does\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "t").mkdir()
    done = subprocess.run(
        ["env", "--default-signal=INT", sys.executable, script],
        capture_output=True,  # until the last process has ended
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"TMPDIR": str(tmp_path / "t")},
        start_new_session=True,
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""
    assert not list((tmp_path / "t").iterdir())


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_keeps_the_memory_that_arrays_give_back(workers: LocalWorkers) -> None:
    pages = 20 * 8 * (1 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert workers.executor().submit(_faults).result() < pages / 10


def _faults() -> int:
    """Pages that are asked for by 20 times 8 arrays of 1 MiB each, after the first."""
    before = 0
    for number in range(21):
        if number == 1:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        arrays = [np.ones(1 << 17) for _ in range(8)]
        del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
