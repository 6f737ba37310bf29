"""A watch of any length on a disk of finite size."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording, RecordingWriter, table_writer
from loadgen.collect import keep as keep_module
from loadgen.collect.keep import THINNED, Keep, Keeper
from tests.unit.properties import examples
from tests.unit.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from analyzer.recording.directory.table_writer import Part

NS = 1_000_000_000
ZERO_NS = 1_700_000_000 * NS
KEY = ["client_port"]


def change(at_s: int, port: int, kind: str, state: str = "FIN_WAIT") -> dict[str, Any]:
    ends = {"client_ip": "10.0.0.250", "client_port": port, "vip": "10.0.0.2", "port": 80}
    return {
        "at": ZERO_NS + at_s * NS,
        "director": "bal01",
        "change": kind,
        "protocol": "TCP",
        "state": state,
        "expires_s": 9,
        "real_server": "10.0.0.21",
        "real_port": 80,
        **ends,
    }


def there_at(changes: pd.DataFrame, at_s: float) -> set[tuple[int, str]]:
    """The table at an instant, from its changes."""
    rows = changes[changes["at"].astype("int64") <= ZERO_NS + at_s * NS]
    last = rows.sort_values("at", kind="stable").drop_duplicates(KEY, keep="last")
    held = last[last["change"] != "gone"]
    return set(zip(held["client_port"].astype(int), held["state"], strict=True))


@examples(25)
@given(
    moves=st.lists(
        st.tuples(st.integers(1, 5), st.sampled_from(["gone", "ESTABLISHED", "FIN_WAIT"])),
        min_size=1,
        max_size=40,
    ),
    dropped=st.integers(1, 9),
)
def test_what_was_deleted_leaves_the_table_that_it_led_to(
    moves: list[tuple[int, str]], dropped: int
) -> None:
    there: set[int] = set()
    rows = []
    for at_s, (port, what) in enumerate(moves):
        if what == "gone" and port not in there:
            continue
        kind = "gone" if what == "gone" else "state" if port in there else "appeared"
        there = there - {port} if what == "gone" else there | {port}
        rows.append(change(at_s, port, kind, "FIN_WAIT" if what == "gone" else what))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_writer, "PART_ROWS", 4)
        writer = RecordingWriter(Path(folder) / "run", {})
        for row in rows:
            writer.append("entries", row)
            writer.flush()
        whole = Recording.open(writer.path).table("entries")
        gone = writer.full_parts()[:dropped]
        for part in gone:
            writer.drop(part)
        kept = Recording.open(writer.path).table("entries")
        from_s = rows[4 * len(gone) - 1]["at"] // NS - ZERO_NS // NS if gone else 0
        for at_s in range(int(from_s), len(moves) + 1):
            assert there_at(kept, at_s) == there_at(whole, at_s)
        assert (
            not set(there_at(kept, len(moves)))
            or kept["change"].isin(["appeared", "state", "gone"]).all()
        )


def polls(writer: RecordingWriter, n: int) -> None:
    for i in range(n):
        row = {"at": ZERO_NS + i * NS, "director": "bal01", "what": "entries", "took_ms": i / 7}
        writer.append("polls", row)
        writer.append("events", {"at": ZERO_NS + i * NS, "host": "h", "kind": "k", "detail": "d"})
        writer.flush()


class CountingWriter(RecordingWriter):
    """It notes what parts it was asked for: the keeper asks once a round."""

    rounds = 0
    listed: Sequence[Part] = ()

    def full_parts(self) -> list[Part]:
        self.listed = parts = super().full_parts()
        self.rounds += 1
        return parts


def kept(
    path: Path,
    keep: Keep,
    monkeypatch: pytest.MonkeyPatch,
    n: int = 60,
    thinned: Callable[[CountingWriter], bool] = lambda _: True,
) -> Recording:
    """A run of some polls, ten to a part, with a keeper that has gone through all of them."""
    monkeypatch.setattr(table_writer, "PART_ROWS", 10)
    monkeypatch.setattr(keep_module, "CHECK_EVERY_S", 0.01)
    writer = CountingWriter(path, {"started_at_ns": ZERO_NS, "directors": {}})

    async def main() -> None:
        async with Keeper(keep, writer):
            polls(writer, n)
            assert await until(lambda: thinned(writer))
            before = writer.rounds
            assert await until(lambda: writer.rounds >= before + 2)

    asyncio.run(main())
    writer.close("completed")
    return Recording.open(path)


def test_beyond_a_size_the_oldest_is_deleted_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = kept(tmp_path / "r", Keep(text="18k", size_bytes=18_000), monkeypatch)
    polled = recorded.table("polls")
    assert 0 < len(polled) < 60
    assert polled["at"].astype("int64").max() == ZERO_NS + 59 * NS
    events = recorded.table("events")
    assert list(events["kind"]).count("recording-thinned") == 1
    assert list(events["kind"]).count("k") == 60  # what happened stays
    gaps = [row for row in analyse(recorded).not_measured if "came before" in row.what]
    assert [row.why for row in gaps] == ["--keep 18k: the oldest was deleted"]


def test_within_the_limit_nothing_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = kept(tmp_path / "r", Keep(text="1G", size_bytes=10**9), monkeypatch)
    assert len(recorded.table("polls")) == 60
    assert not [row for row in analyse(recorded).not_measured if "came before" in row.what]


def test_beyond_a_time_the_oldest_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def thinned(writer: CountingWriter) -> bool:
        return writer.rounds > 0 and all(part.table not in THINNED for part in writer.listed)

    keep = Keep(text="0.1s", seconds=0.1)
    recorded = kept(tmp_path / "r", keep, monkeypatch, thinned=thinned)
    assert len(recorded.table("polls")) <= 10  # the part that is still written to


def test_the_packets_take_half_of_a_size() -> None:
    keep = Keep(text="1G", size_bytes=10**9)
    assert keep.without_capture(captured=True).size_bytes == 5 * 10**8
    assert keep.without_capture(captured=False) == keep
    assert Keep(text="6h", seconds=21_600).without_capture(captured=True).seconds == 21_600
