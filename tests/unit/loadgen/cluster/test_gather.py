"""What a worker may put into a run's directory."""

from __future__ import annotations

import asyncio
import errno
import io
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loadgen.cluster.connection import ConnectedWorker, WorkerLost
from loadgen.cluster.crew import Crew
from loadgen.cluster.gather import Gathering, gather
from loadgen.cluster.worker.messages import PartFile, part_name
from tests.unit.loadgen.cluster.test_progress import worker

if TYPE_CHECKING:
    from loadgen.cluster.connection import Cluster
    from loadgen.cluster.progress import WorkerProgress


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
        workers=(),
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

    known = worker()

    assert asyncio.run(Gathering(crew(cluster), tmp_path).fetch(known))
    assert known.gathered == 0
    assert "read_file" not in cluster.asked
    assert not list(tmp_path.rglob("*"))


def test_a_part_that_is_no_parquet_counts_nothing_and_is_left_to_the_reader(tmp_path: Path) -> None:
    file = PartFile(path="requests/part-00000.parquet", bytes=4)
    cluster = Hostile({"part_files": [file], "read_file": b"evil", "remove": None})

    known = worker()

    assert asyncio.run(Gathering(crew(cluster), tmp_path).fetch(known))
    assert known.gathered == 0
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
    assert not known.is_whole
    assert known.why == "not gathered"
    assert len(said) == 1
    assert not list(tmp_path.rglob("*.parquet"))


def rows_of(requests: int) -> bytes:
    """A file of a part, with so many requests."""
    out = io.BytesIO()
    followed = pa.array([None] * requests, pa.int64())
    pq.write_table(pa.table({"started": [1] * requests, "followed": followed}), out)
    return out.getvalue()


PARTS = ["requests/part-00000.parquet", "requests/part-00001.parquet"]
GATHERED = ["worker-0002-part-00000.parquet", "worker-0002-part-00001.parquet"]


def test_a_copy_that_fails_midway_counts_what_has_come(tmp_path: Path) -> None:
    content = rows_of(20)

    def read(_: str, path: str, offset: int) -> bytes:
        if path == PARTS[1]:
            raise WorkerLost("gone")
        return content[offset:]

    files = [PartFile(path=path, bytes=len(content)) for path in PARTS]
    cluster = Hostile({"part_files": files, "read_file": read, "remove": None})
    known, said = worker(), list[str]()

    asyncio.run(gather(crew(cluster), tmp_path, [known], said.append))

    row = known.manifest()
    assert (row["planned"], row["sent"], row["lost"], row["why"]) == (51, 20, 31, "not gathered")
    assert [path.name for path in (tmp_path / "requests").iterdir()] == GATHERED[:1]
    assert len(said) == 1
    assert "remove" not in cluster.asked


def test_a_disk_that_takes_one_file_of_two_counts_that_one_and_the_rest_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = here(tmp_path)
    move = shutil.move

    def full(source: Path, target: Path) -> None:
        if source.name == Path(PARTS[1]).name:
            target.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        move(source, target)

    monkeypatch.setattr("loadgen.cluster.gather.shutil.move", full)
    run = tmp_path / "run"
    run.mkdir()

    asyncio.run(gather(crew(Hostile({})), run, [known], lambda _: None))

    row = known.manifest()
    assert (row["sent"], row["lost"], row["why"]) == (20, 31, "not gathered")
    assert [path.name for path in (run / "requests").iterdir()] == GATHERED[:1]
    assert (Path(known.folder) / PARTS[1]).exists()


def test_a_part_on_this_disk_is_moved_whole(tmp_path: Path) -> None:
    known = here(tmp_path)
    run = tmp_path / "run"
    run.mkdir()

    asyncio.run(gather(crew(Hostile({})), run, [known], lambda _: None))

    assert (known.gathered, known.is_whole, known.why) == (40, True, None)
    assert sorted(path.name for path in (run / "requests").iterdir()) == GATHERED
    assert not Path(known.folder).exists()


def test_a_worker_that_ends_with_its_scheduler_may_write_its_last_rows_first(
    tmp_path: Path,
) -> None:
    known = here(tmp_path)
    known.lose("scheduler")
    folder, run = Path(known.folder), tmp_path / "run"
    run.mkdir()

    async def close_it() -> None:
        await asyncio.sleep(0.03)
        (folder / "requests" / "part-00002.parquet").write_bytes(rows_of(20))
        (folder / "run.json").write_text('{"ended": "completed"}')

    async def both() -> None:
        await asyncio.gather(close_it(), gather(crew(Hostile({})), run, [known], lambda _: None))

    asyncio.run(both())

    assert (known.gathered, known.is_whole) == (60, True)


@pytest.mark.parametrize("written", [None, "{", '{"ended": null}', "[]"])
def test_one_that_never_closes_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str | None
) -> None:
    monkeypatch.setattr("loadgen.cluster.gather.CLOSING_S", 0.0)
    known = here(tmp_path)
    known.lose("scheduler")
    if written is not None:
        (Path(known.folder) / "run.json").write_text(written)
    run = tmp_path / "run"
    run.mkdir()

    asyncio.run(gather(crew(Hostile({})), run, [known], lambda _: None))

    assert known.gathered == 40


def here(path: Path) -> WorkerProgress:
    """A worker whose part of two files, 20 requests each, is on this host's disk."""
    known = worker()
    folder = path / part_name("ab12", known.member.number)
    (folder / "requests").mkdir(parents=True)
    for name in PARTS:
        (folder / name).write_bytes(rows_of(20))
    known.folder = str(folder)
    return known


def test_a_part_that_its_worker_cannot_delete_has_been_gathered_all_the_same(
    tmp_path: Path,
) -> None:
    content = rows_of(20)
    cluster = Hostile(
        {
            "part_files": [PartFile(path=PARTS[0], bytes=len(content))],
            "read_file": content,
            "remove": WorkerLost("gone"),
        }
    )
    known = worker()

    asyncio.run(gather(crew(cluster), tmp_path, [known], lambda _: None))

    assert (known.gathered, known.is_whole, known.why) == (20, True, None)


def test_a_worker_is_asked_for_its_files_once(tmp_path: Path) -> None:
    cluster = Hostile({"part_files": [], "remove": None})

    assert asyncio.run(Gathering(crew(cluster), tmp_path).fetch(worker()))
    assert cluster.asked == ["part_files", "remove"]


def test_a_capture_that_could_not_be_copied_leaves_no_hole(tmp_path: Path) -> None:
    failing = {"capture.pcap"}

    def read(_: str, path: str, __: int) -> bytes:
        if path in failing:
            raise WorkerLost("gone")
        return b"pcap"

    files = [PartFile(path="capture.pcap", bytes=4)]
    cluster = Hostile({"part_files": files, "read_file": read, "remove": None})
    gathering = Gathering(crew(cluster), tmp_path)

    assert not asyncio.run(gathering.fetch(worker()))
    failing.clear()
    assert asyncio.run(gathering.fetch(worker()))

    assert [path.name for path in tmp_path.iterdir()] == ["capture.pcap"]


def test_no_capture_that_is_there_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "capture-00007.pcap").write_bytes(b"mine")
    files = [PartFile(path="capture.pcap", bytes=4)]
    cluster = Hostile({"part_files": files, "read_file": b"pcap", "remove": None})

    assert asyncio.run(Gathering(crew(cluster), tmp_path).fetch(worker()))

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "capture-00007.pcap",
        "capture-00008.pcap",
    ]


def test_a_folder_of_another_name_on_this_disk_is_not_taken(tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious"
    (elsewhere / "requests").mkdir(parents=True)
    (elsewhere / "requests" / "part-00000.parquet").write_bytes(b"mine")
    known = worker()
    known.folder = str(elsewhere)
    cluster = Hostile({"part_files": None})

    assert not asyncio.run(Gathering(crew(cluster), tmp_path / "run").fetch(known))
    assert known.gathered is None
    assert (elsewhere / "requests" / "part-00000.parquet").exists()
