"""What is done at a worker on this host's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgen.cluster.worker import remote
from loadgen.cluster.worker.messages import PartFile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_part_has_rows_and_captures_that_are_whole_and_nothing_else(tmp_path: Path) -> None:
    for name in (
        "requests/part-00000.parquet",
        "requests/.part-00001.parquet",
        "events/part-00000.parquet",
        "capture.pcap",
        "run.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1234")

    assert remote.part_files(str(tmp_path)) == [
        PartFile(path="capture.pcap", bytes=4),
        PartFile(path="requests/part-00000.parquet", bytes=4),
    ]
