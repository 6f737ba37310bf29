"""What a worker may put into a run's directory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from loadgen.cluster.connection import ConnectedWorker, WorkerLost
from loadgen.cluster.crew import Crew
from loadgen.cluster.gather import Gathering, gather
from loadgen.cluster.messages import PartFile
from tests.unit.loadgen.cluster.test_progress import worker

if TYPE_CHECKING:
    from pathlib import Path

    from loadgen.cluster.connection import Cluster


class Hostile:
    """A cluster whose workers name files as they like."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def workers(self) -> list[ConnectedWorker]:
        return [worker().member.worker]

    async def run(self, _address: str, function: Any, *args: Any, **_more: Any) -> Any:
        self.asked.append(function.__name__)
        answer = self.answers[function.__name__]
        if isinstance(answer, Exception):
            raise answer
        return answer(*args) if callable(answer) else answer


def crew(cluster: Hostile) -> Crew:
    return Crew(
        cluster=cast("Cluster", cluster),
        run="ab12",
        members=(worker().member,),
        local=False,
        shared=False,
        spare=0,
    )


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/cron.d/x",
        "/etc/passwd",
        "requests/../../x.parquet",
        "requests/part-00000.parquet/../x",
        "requests/.part-00000.parquet",
        "run.json",
        "entries/part-00000.parquet",
        "capture.pcap.sh",
    ],
)
def test_a_file_that_is_none_of_a_part_is_not_written(tmp_path: Path, path: str) -> None:
    cluster = Hostile(
        {"part_files": [PartFile(path=path, bytes=4)], "read_file": b"evil", "remove": None}
    )

    fetched = asyncio.run(Gathering(crew(cluster), tmp_path).fetch(worker()))

    assert fetched == 0
    assert "read_file" not in cluster.asked
    assert not list(tmp_path.rglob("*"))


def test_a_part_that_is_no_parquet_counts_nothing_and_is_left_to_the_reader(tmp_path: Path) -> None:
    file = PartFile(path="requests/part-00000.parquet", bytes=4)
    cluster = Hostile({"part_files": [file], "read_file": b"evil", "remove": None})

    assert asyncio.run(Gathering(crew(cluster), tmp_path).fetch(worker())) == 0
    assert (tmp_path / "requests" / "worker-0002-part-00000.parquet").read_bytes() == b"evil"


def test_captures_of_several_workers_are_a_row_of_files(tmp_path: Path) -> None:
    files = [PartFile(path=name, bytes=4) for name in ("capture.pcap", "capture-00001.pcap")]
    cluster = Hostile({"part_files": files, "read_file": b"pcap", "remove": None})
    gathering = Gathering(crew(cluster), tmp_path)

    asyncio.run(gathering.fetch(worker()))
    asyncio.run(gathering.fetch(worker()))

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"capture-0000{k}.pcap" for k in (1, 2, 3)),
        "capture.pcap",
    ]


@pytest.mark.parametrize("piece", [b"", "text", None, WorkerLost("gone")])
def test_a_file_that_ends_before_its_time_leaves_nothing_and_the_worker_is_lost(
    tmp_path: Path, piece: Any
) -> None:
    file = PartFile(path="requests/part-00000.parquet", bytes=9)
    cluster = Hostile({"part_files": [file], "read_file": piece, "remove": None})
    known, said = worker(), list[str]()

    asyncio.run(gather(crew(cluster), tmp_path, [known], said.append))

    assert known.gathered is None
    assert known.why == "not gathered"
    assert len(said) == 1
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_folder_of_another_name_on_this_disk_is_not_taken(tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious"
    (elsewhere / "requests").mkdir(parents=True)
    (elsewhere / "requests" / "part-00000.parquet").write_bytes(b"mine")
    known = worker()
    known.folder = str(elsewhere)
    cluster = Hostile({"part_files": None})

    assert asyncio.run(Gathering(crew(cluster), tmp_path / "run").fetch(known)) is None
    assert (elsewhere / "requests" / "part-00000.parquet").exists()
