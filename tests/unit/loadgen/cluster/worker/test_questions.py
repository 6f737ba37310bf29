"""Snapshots on their way from a worker: large ones are compressed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from loadgen.cluster.worker.questions import PACK_CHARACTERS, PackedSnapshot, packed, unpacked
from loadgen.director.links.shell import ShellAnswer
from loadgen.director.links.snapshot import Snapshot, parse_snapshot
from tests.unit.loadgen.director.fakes import ENTRIES_HEADER, FIN_WAIT, SERVICES


def snapshot(entries: str) -> Snapshot:
    answer = ShellAnswer(content=b"", asked_ns=1, answered_ns=2)
    found = parse_snapshot(answer, f"12.34 5.60\n{SERVICES}{entries}")
    assert found is not None
    return found


def test_a_small_snapshot_travels_as_it_is() -> None:
    small = snapshot(ENTRIES_HEADER + FIN_WAIT)
    assert packed(small) is small
    without = replace(small, entries=None)
    assert packed(without) is without


def test_a_large_one_is_the_same_afterwards_and_far_shorter_on_its_way() -> None:
    large = snapshot(ENTRIES_HEADER + FIN_WAIT * 2000)
    way = packed(large)
    assert isinstance(way, PackedSnapshot)
    assert way.snapshot.entries is None
    assert len(way.entries) < PACK_CHARACTERS / 20
    assert unpacked(way, way.characters) == large


def test_one_that_would_be_too_large_or_is_damaged_is_refused() -> None:
    way = packed(snapshot(ENTRIES_HEADER + FIN_WAIT * 2000))
    assert isinstance(way, PackedSnapshot)
    with pytest.raises(ValueError, match="too many entries"):
        unpacked(way, way.characters - 1)
    with pytest.raises(ValueError, match="damaged"):
        unpacked(replace(way, entries=b"x"), way.characters)
