"""A watch without packets is the same to the last digit, in however many parts it is analysed."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.analysis import analyse
from analyzer.documents import as_text
from analyzer.observed.entries import numbered, tracked_by
from analyzer.observed.numbering import gathered
from analyzer.observed.parted import Parted
from analyzer.parts import InMemory
from analyzer.recording.directory import Recording
from analyzer.recording.spill import spilled
from analyzer.report import to_json
from tests.importing import import_folder
from tests.unit.analyzer.builders_packets import NS, table
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.report import Analysis

DATA = Path(__file__).resolve().parents[2] / "data"
SPILLED = 7
"""The number of parts of those that lie in files."""

RECORDINGS = (
    "dr-burst-50",
    "dr-failover",
    "conntrack-mix",
    "conntrack-masquerade",
    "ground-truth/k612-dr-mixed-tcpfin15",
    "ground-truth/dr-server-removed-and-back",
    "ground-truth/k72-dr-tcpfin-changed-midrun",
)

WITH_REQUESTS = ("dr-burst-50", "dr-failover", "conntrack-mix", "conntrack-port-reuse")


@pytest.fixture(scope="module")
def watches(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Recordings without their packets and, unless asked for, without their requests, by name."""
    folder = tmp_path_factory.mktemp("watches")

    @lru_cache
    def watch(name: str, left_out: str = "requests") -> Path:
        original, copy = DATA / name, folder / f"{Path(name).name}-without-{left_out}"
        if not (original / "run.json").exists():
            import_folder([original], folder / "imported" / copy.name)
            original = folder / "imported" / copy.name
        shutil.copytree(original, copy, ignore=shutil.ignore_patterns("*.pcap", left_out))
        return copy

    return watch


@lru_cache(maxsize=1)
def whole_of(run: Path) -> Analysis:
    """All in one part."""
    return analysis(run, 1)


def analysis(run: Path, parts: int) -> Analysis:
    part_rows = Recording.open(run).table_size("entries")[0] // parts
    in_memory = nullcontext(InMemory(part_rows))
    with spilled(run, part_rows) if parts == SPILLED else in_memory as store:
        return analyse(Recording.open(run), store=store)


def drawn(found: Analysis) -> list[Any]:
    """What the page draws of entries."""
    samples = [each.observed_s.tolist() for each in found.pictures.lifetime_samples]
    states = [
        {name: count.tolist() for name, count in each.counts.items()}
        for each in found.pictures.states
    ]
    return [samples, states, found.pictures.shares]


@pytest.mark.parametrize("parts", [2, SPILLED])
@pytest.mark.parametrize("name", RECORDINGS)
def test_a_watch_is_the_same_in_parts(name: str, parts: int, watches: Any) -> None:
    whole = same_in_parts(watches(name), parts)
    assert bool(whole.lifetimes) is not name.startswith("conntrack")  # by packets or requests alone


@pytest.mark.parametrize("parts", [2, SPILLED])
@pytest.mark.parametrize("name", WITH_REQUESTS)
def test_entries_beside_requests_are_the_same_in_parts(name: str, parts: int, watches: Any) -> None:
    whole = same_in_parts(watches(name, left_out="*.pcap"), parts)
    assert whole.lifetimes  # of entries that have a request's end alone


def same_in_parts(run: Path, parts: int) -> Analysis:
    """The analysis of the whole, if that in parts is the same."""
    whole, cut = whole_of(run), analysis(run, parts)
    texts = (as_text(to_json(replace(each, run="", timings_s={}))) for each in (whole, cut))
    assert next(texts) == next(texts)
    assert drawn(whole) == drawn(cut)
    return whole


def test_a_damaged_part_of_a_watch_is_reported_once(tmp_path: Path, watches: Any) -> None:
    run = tmp_path / "run"
    shutil.copytree(watches("dr-burst-50"), run)
    (run / "entries" / "part-99999.parquet").write_bytes(b"no parquet")
    found = analysis(run, SPILLED)
    assert [each.why.count("part-99999") for each in found.not_measured].count(1) == 1


CHANGES = st.lists(
    st.builds(
        lambda at_s, director, change, port, state, real_port, left_s: {
            "at": round((1000 + at_s) * NS),
            "director": director,
            "change": change,
            "protocol": "TCP",
            "state": state,
            "expires_s": left_s,
            "client_ip": f"10.0.0.{port % 3}",
            "client_port": port,
            "vip": "10.9.9.9",
            "port": 80,
            "real_server": None if real_port is None else "10.0.1.1",
            "real_port": real_port,
        },
        at_s=st.integers(0, 5),
        director=st.sampled_from(["bal02", "bal01"]),
        change=st.sampled_from(["appeared", "state", "gone"]),
        port=st.integers(0, 7),
        state=st.sampled_from(["FIN_WAIT", "ESTABLISHED", None]),
        real_port=st.sampled_from([80, None]),
        left_s=st.integers(0, 9),
    ),
    max_size=40,
)


def flows_of(ports: list[int]) -> pd.DataFrame:
    """A capture's flows, from clients as those of the changes, and from another."""
    clients = [f"10.0.0.{port % 4}" for port in ports]
    flows = pd.DataFrame({"protocol": "TCP", "client_ip": clients, "client_port": ports})
    return flows.assign(vip="10.9.9.9", port=80).astype(
        {"protocol": "category", "client_ip": "category", "vip": "category"}
    )


def is_of(part: pd.DataFrame, name: str) -> Any:
    return part["director"] == name


@examples(30)
@given(
    rows=CHANGES,
    part_rows=st.integers(1, 20),
    read=st.integers(1, 9),
    captured=st.none() | st.lists(st.integers(0, 9), unique=True),
)
def test_changes_in_parts_are_in_the_order_of_the_whole(
    rows: list[dict[str, Any]], part_rows: int, read: int, captured: list[int] | None
) -> None:
    changes = table("entries", rows)
    flows = None if captured is None else flows_of(captured)
    store, seen, flows_seen = InMemory(part_rows), 0, 0

    def frames() -> Iterator[pd.DataFrame]:
        yield from (changes.iloc[at : at + read] for at in range(0, len(changes) + 1, read))

    def see(part: pd.DataFrame) -> None:
        nonlocal seen
        seen += len(part)

    def see_flows(part: pd.DataFrame) -> None:
        nonlocal flows_seen
        flows_seen += len(part[["client_ip", "client_port"]].drop_duplicates())

    found = gathered(Parted(frames, store), len(rows), store, see).numbered(flows, see_flows)
    whole = numbered(changes, flows)
    for director in ("bal01", "bal02"):
        of_director = found.only(partial(is_of, name=director))
        expected = whole[whole["director"] == director].reset_index(drop=True)
        assert_frame_equal(of_director.whole().reset_index(drop=True), expected)
        entries = of_director.map(partial(tracked_by, entry_polls={}))
        assert_frame_equal(entries.whole(), tracked_by(expected, {}))
    assert seen == len(rows)
    assert flows_seen >= whole["flow"].nunique()
    of_parts = [set(part["flow"]) for part in found]
    assert sum(map(len, of_parts)) == len(set().union(*of_parts))
