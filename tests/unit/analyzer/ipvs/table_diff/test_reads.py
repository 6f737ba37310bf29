"""Reads of a table that resizes itself: nothing that is there is ever taken for gone."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.entry_rows import entries_of, rows_of
from analyzer.ipvs.proc.formats import Entry
from analyzer.ipvs.table_diff.matching import distinct_entries
from analyzer.ipvs.table_diff.reads import (
    AbsenceProof,
    Resizes,
    TableRead,
    proof_by_lines,
    proof_of,
)
from analyzer.ipvs.table_diff.tracking import KINDS, TableTracker
from tests.unit.analyzer.ipvs.table_diff.one_by_one import EntryTracker
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
    expires_s=100,
)


def read_of(
    entries: list[Entry], counted: int, size: int | None, at_ns: int = NS
) -> TableRead[list[Entry]]:
    distinct = distinct_entries(rows_of(entries))
    return TableRead(
        at_ns=at_ns,
        table=entries,
        lines=len(entries),
        distinct=distinct,
        counted=counted,
        size=size,
    )


def entries_at(ports: list[int]) -> list[Entry]:
    return [replace(ENTRY, client_port=port) for port in ports]


@pytest.mark.parametrize(
    ("ports", "counted", "sizes", "proof"),
    [
        ([1, 2, 3], 3, (256, 256, 256), AbsenceProof.WHOLE),
        ([1, 2, 3], 3, (256, 256, 512), AbsenceProof.NOTHING),  # it grows while it is read
        ([1, 2, 3], 3, (256, 512, 512), AbsenceProof.NOTHING),  # it has just grown
        ([1, 2, 3], 3, (None, 256, 256), AbsenceProof.NOTHING),  # the first poll
        ([1, 2, 3], 3, (256, 256, None), AbsenceProof.NOTHING),  # the last one
        ([1, 2, 3], 3, (None, None, None), AbsenceProof.NOTHING),  # nobody tells the size
        ([], 0, (1024, 1024, 256), AbsenceProof.WHOLE),  # it shrinks: nobody is counted either
        ([], 1, (1024, 1024, 256), AbsenceProof.NOTHING),
        ([1, 2], 3, (256, 256, 256), AbsenceProof.PARTIAL),  # one is missing
        ([1, 1, 2], 3, (256, 256, 256), AbsenceProof.PARTIAL),  # twice and missing: as many lines
        ([1, 2, 3, 4], 3, (256, 256, 256), AbsenceProof.WHOLE),  # one of a server that was removed
        (
            list(range(1, 101)),
            99,
            (256, 256, 256),
            AbsenceProof.PARTIAL,
        ),  # the same, over two pages
        ([0, 1, 2], 2, (256, 256, 256), AbsenceProof.WHOLE),  # a template is not counted
    ],
)
def test_what_a_read_proves_follows_from_counters_and_sizes(
    ports: list[int], counted: int, sizes: tuple[int | None, ...], proof: AbsenceProof
) -> None:
    before, size, after = sizes
    read = read_of(entries_at(ports), counted, size)
    if 0 in ports:
        read = replace(read, lines=len(ports) - 1)
    assert proof_of(read, before, after) is proof


def test_a_table_that_never_resizes_is_judged_by_its_lines() -> None:
    assert proof_by_lines(61) is AbsenceProof.WHOLE
    assert proof_by_lines(62) is AbsenceProof.PARTIAL


@pytest.mark.parametrize(
    ("lines", "counted", "proof"),
    [
        (61, 60, AbsenceProof.WHOLE),
        (62, 61, AbsenceProof.PARTIAL),
        (62, 62, AbsenceProof.WHOLE),  # over two pages, but the counters bear it out
    ],
)
def test_a_read_with_more_than_was_counted_is_whole_up_to_a_page_of_61_lines(
    lines: int, counted: int, proof: AbsenceProof
) -> None:
    read = read_of(entries_at(list(range(1, lines + 1))), counted, 256)
    assert proof_of(read, 256, 256) is proof


def test_a_read_waits_for_the_next_poll() -> None:
    resizes: Resizes[list[Entry]] = Resizes()
    assert resizes.poll(256, None) is None
    read = read_of(entries_at([1]), 1, 256)
    assert resizes.poll(256, read) is None
    assert resizes.is_waiting
    settled = resizes.poll(256, None)
    assert settled is not None
    assert (settled.read, settled.proof) == (read, AbsenceProof.WHOLE)
    assert resizes.settle() is None


def test_a_read_that_no_poll_follows_is_settled_once_and_proves_nothing() -> None:
    resizes: Resizes[list[Entry]] = Resizes()
    resizes.poll(256, None)
    resizes.poll(256, read_of(entries_at([1]), 1, 256))
    settled = resizes.settle()
    assert settled is not None
    assert settled.proof is AbsenceProof.NOTHING
    assert not resizes.is_waiting
    assert resizes.settle() is None


@dataclass(frozen=True)
class Poll:
    """One poll of a kernel that may resize its table.

    Attributes:
        lives: which ports are in the table now.
        resizes: before the next poll, so that this read may be torn.
        misses: of a torn read, which of the ports it does not show.
        doubles: and which it shows twice.
    """

    lives: frozenset[int]
    resizes: bool
    misses: frozenset[int]
    doubles: frozenset[int]


PORTS = st.frozensets(st.integers(1, 6))
POLLS = st.lists(
    st.builds(Poll, lives=PORTS, resizes=st.booleans(), misses=PORTS, doubles=PORTS),
    min_size=2,
    max_size=12,
)


@given(POLLS)
@examples(300)
def test_no_entry_that_is_there_is_taken_for_gone(polls: list[Poll]) -> None:
    """A table that doubles under the reader: whoever was there at a poll was not gone by it."""
    resizes: Resizes[list[Entry]] = Resizes()
    whole, one_by_one = TableTracker(), EntryTracker()
    size, was_torn = 256, False
    lives_at: dict[int, frozenset[int]] = {}
    for number, poll in enumerate(polls, start=1):
        at_ns = number * NS
        lives_at[at_ns] = poll.lives
        shown = sorted(poll.lives)
        if poll.resizes or was_torn:
            shown = sorted(poll.lives - poll.misses) + sorted(poll.lives & poll.doubles)
        read = read_of(entries_at(shown), len(poll.lives), size, at_ns)
        settled = resizes.poll(size, read)
        was_torn = poll.resizes
        size *= 2 if poll.resizes else 1
        if settled is None:
            continue
        known = settled.read
        changes = whole.update(known.at_ns, rows_of(known.table), known.lines, settled.proof)
        expected = one_by_one.update(known.at_ns, known.table, known.lines, settled.proof)
        rows = list(
            zip(changes.at_ns.tolist(), changes.kind, entries_of(changes.rows), strict=True)
        )
        assert sorted((at, KINDS[kind], entry.client_port) for at, kind, entry in rows) == sorted(
            (change.at_ns, change.kind, change.entry.client_port) for change in expected
        )
        for at, kind, entry in rows:
            if KINDS[kind] == "gone":
                assert entry.client_port not in lives_at[at]


@given(st.integers(17, 60), st.integers(1, 8))
def test_a_burst_that_grows_the_table_and_goes_is_seen_to_go(count: int, torn_at: int) -> None:
    """256 buckets grow at the 17th entry: its reads prove nothing, the later ones all."""
    resizes: Resizes[list[Entry]] = Resizes()
    tracker = TableTracker()
    gone = 0
    everyone = entries_at(list(range(1, count + 1)))
    polls: list[tuple[int, list[Entry], int]] = [(256, [], 0)]
    polls += [(256, everyone[:16], 16), (256, everyone[torn_at:], count)]  # torn
    polls += [(512, everyone, count)] * 3 + [(512, [], 0)] * 3
    for number, (size, shown, counted) in enumerate(polls, start=1):
        settled = resizes.poll(size, read_of(shown, counted, size, number * NS))
        if settled is not None:
            known = settled.read
            changes = tracker.update(known.at_ns, rows_of(known.table), known.lines, settled.proof)
            gone += sum(KINDS[kind] == "gone" for kind in changes.kind)
    assert gone == count
    assert not len(tracker.rows)
    assert resizes.proofs == {
        AbsenceProof.WHOLE: 6,
        AbsenceProof.PARTIAL: 0,
        AbsenceProof.NOTHING: 2,
    }
