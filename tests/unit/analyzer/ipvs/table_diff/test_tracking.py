"""A table compared as a whole gives the changes that entries give one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.entry_rows import entries_of, rows_of
from analyzer.ipvs.proc.formats import Entry
from analyzer.ipvs.table_diff.reads import AbsenceProof
from analyzer.ipvs.table_diff.tracking import KINDS, Changes, TableTracker, joined
from analyzer.recording.directory import Recording, RecordingWriter
from tests.unit.analyzer.ipvs.table_diff.one_by_one import Change, EntryTracker
from tests.unit.properties import examples

NS = 1_000_000_000
ENTRY = Entry(
    protocol="TCP",
    client_ip="192.168.10.250",
    client_port=1,
    vip="192.168.10.2",
    port=80,
    real_server="192.168.10.21",
    real_port=80,
    state="FIN_WAIT",
    expires_s=20,
)

entries = st.builds(
    Entry,
    protocol=st.sampled_from(["TCP", "UDP"]),
    client_ip=st.sampled_from(["10.0.0.1", "255.255.255.255", "::a00:1", "fd00::1"]),
    client_port=st.sampled_from([0, 1, 65535]),
    vip=st.sampled_from(["10.0.0.2", "fd00::2"]),
    port=st.sampled_from([0, 80]),
    real_server=st.sampled_from(["10.0.0.3", "10.0.0.4", "::a00:3"]),
    real_port=st.sampled_from([80, 8080]),
    state=st.sampled_from(["ESTABLISHED", "FIN_WAIT", "SYN_RECV", "UDP"]),
    expires_s=st.sampled_from([-(10**18) + 1, 0, 1, 2, 20, 900, 10**18 - 1]),
)
polls = st.lists(
    st.tuples(st.integers(1, 3 * NS), st.lists(entries, max_size=6), st.sampled_from([0, 100])),
    min_size=1,
    max_size=8,
)


def update(tracker: TableTracker, at_ns: int, found: list[Entry], lines: int) -> list[object]:
    return as_list(tracker.update(at_ns, rows_of(found), lines))


def as_list(changes: Changes) -> list[object]:
    names = [KINDS[kind] for kind in changes.kind]
    return list(zip(changes.at_ns.tolist(), names, entries_of(changes.rows), strict=True))


@given(polls, st.booleans())
@examples(300)
def test_a_table_as_a_whole_changes_as_its_entries_do(
    polled: list[tuple[int, list[Entry], int]], busy_too: bool
) -> None:
    tracker, reference = TableTracker(busy_too=busy_too), EntryTracker(busy_too=busy_too)
    at_ns = 0
    for waited_ns, found, others in polled:
        at_ns += waited_ns
        lines = len(found) + others
        expected = reference.update(at_ns, found, lines)
        changes = update(tracker, at_ns, found, lines)
        assert sorted(changes, key=repr) == sorted(one_by_one(expected), key=repr)
        held = [entry.key for entry in entries_of(tracker.rows)]
        assert sorted(held) == sorted(reference.held())
    last = one_by_one(reference.finish())
    assert sorted(as_list(tracker.finish()), key=repr) == sorted(last, key=repr)
    assert len(tracker.rows) == len(reference.held())


def one_by_one(changes: list[Change]) -> list[object]:
    return [(change.at_ns, change.kind, change.entry) for change in changes]


def test_of_doubles_the_last_counts() -> None:
    tracker = TableTracker()
    later = replace(ENTRY, state="TIME_WAIT")
    assert update(tracker, NS, [ENTRY, later], 2) == [(NS, "appeared", later)]
    assert update(tracker, 2 * NS, [later, later], 2) == []


OLD = replace(ENTRY, state="TIME_WAIT", expires_s=0)
NEW = replace(ENTRY, real_server="192.168.10.22", state="SYN_RECV", expires_s=59)


@pytest.mark.parametrize("read", [[OLD, NEW], [NEW, OLD]], ids=["old first", "new first"])
def test_of_an_entry_that_a_syn_ended_and_its_successor_the_successor_counts(
    read: list[Entry],
) -> None:
    """The old one is there, in its closing state and with no time left, for up to a jiffy."""
    tracker, reference = TableTracker(), EntryTracker()
    held = replace(OLD, expires_s=110)
    update(tracker, NS, [held], 1)
    reference.update(NS, [held], 1)
    expected = [(2 * NS, "gone", held), (2 * NS, "appeared", NEW)]
    assert update(tracker, 2 * NS, read, 2) == expected
    assert one_by_one(reference.update(2 * NS, read, 2)) == expected
    assert update(tracker, 3 * NS, [NEW], 1) == []
    assert reference.update(3 * NS, [NEW], 1) == []


def test_another_port_of_the_same_server_is_another_server() -> None:
    tracker = TableTracker()
    update(tracker, NS, [ENTRY], 1)
    new = replace(ENTRY, real_port=8080)
    assert update(tracker, 2 * NS, [new], 1) == [(2 * NS, "gone", ENTRY), (2 * NS, "appeared", new)]


def test_an_entry_that_was_rescheduled_goes_before_it_appears() -> None:
    tracker = TableTracker()
    update(tracker, NS, [ENTRY], 1)
    new = replace(ENTRY, real_server="192.168.10.22")
    assert update(tracker, 2 * NS, [new], 1) == [(2 * NS, "gone", ENTRY), (2 * NS, "appeared", new)]


def test_changes_are_recorded_as_columns() -> None:
    tracker = TableTracker()
    with TemporaryDirectory() as folder:
        writer = RecordingWriter(Path(folder), {})
        for at_ns, found in ((NS, [ENTRY]), (2 * NS, [])):
            changes = tracker.update(at_ns, rows_of(found), len(found))
            writer.extend_columns("entries", changes.columns() | {"director": "bal01"})
        writer.close("completed")
        table = Recording.open(Path(folder)).table("entries")
    assert table["change"].tolist() == ["appeared", "gone"]
    assert table["client_ip"].tolist() == ["192.168.10.250"] * 2
    assert table["director"].tolist() == ["bal01"] * 2


def test_a_quiet_table_of_any_size_changes_nothing() -> None:
    many = np.repeat(rows_of([ENTRY]), 50_000)
    many["client_ip_low"] = np.arange(len(many))
    tracker = TableTracker()
    assert len(tracker.update(NS, many, len(many))) == len(many)
    assert len(tracker.update(2 * NS, many[::-1], len(many))) == 0
    assert len(tracker.update(3 * NS, many[1:], len(many) - 1)) == 0  # missed once: torn
    assert len(tracker.update(4 * NS, many[1:], len(many) - 1)) == 1


def test_the_changes_of_two_reads_are_joined_in_their_order() -> None:
    tracker = TableTracker()
    first = tracker.update(NS, rows_of([ENTRY]), 1)
    then = tracker.update(2 * NS, rows_of([]), 1)
    assert as_list(joined(first, then)) == [(NS, "appeared", ENTRY), (2 * NS, "gone", ENTRY)]


@examples(200)
@given(polls, st.booleans(), st.sampled_from([None, *AbsenceProof]))
def test_few_rows_are_compared_as_many_are(
    given: list[tuple[int, list[Entry], int]], busy_too: bool, proof: AbsenceProof | None
) -> None:
    trackers = TableTracker(busy_too=busy_too), TableTracker(busy_too=busy_too)
    at_ns = NS
    for later_ns, found, lines in given:
        at_ns += later_ns
        few = trackers[0].update(at_ns, rows_of(found), lines, proof)
        with (
            patch("analyzer.ipvs.table_diff.matching._FEW", -1),
            patch("analyzer.ipvs.table_diff.few_rows.FEW", -1),
        ):
            many = trackers[1].update(at_ns, rows_of(found), lines, proof)
        for column in ("at_ns", "kind", "rows"):
            np.testing.assert_array_equal(getattr(few, column), getattr(many, column))
            assert getattr(few, column).dtype == getattr(many, column).dtype
        np.testing.assert_array_equal(trackers[0].rows, trackers[1].rows)
        np.testing.assert_array_equal(trackers[0].seen_ns, trackers[1].seen_ns)
    ends = [tracker.finish() for tracker in trackers]
    np.testing.assert_array_equal(ends[0].rows, ends[1].rows)
    np.testing.assert_array_equal(ends[0].at_ns, ends[1].at_ns)
