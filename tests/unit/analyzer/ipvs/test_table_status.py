"""What a kernel says of its table of entries, read whatever it says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.table_status import (
    LONGEST_CHAIN,
    MAX_CHARACTERS,
    MAX_NUMBER,
    TableStatus,
    entry_bytes_of,
    in_words,
    is_full,
    parse_table_status,
    to_manifest,
)
from analyzer.recording.manifest import manifest_of

EMPTY = """\
Conns:\t0
Conn buckets:\t256 (8 bits, lfactor -4)
Services:\t1
Service buckets:\t16 (4 bits, lfactor -3)
Service buckets empty:\t15 (93%)
Service buckets len-1:\t1 (100%)
Stats thread slots:\t1 (max 4)
Stats chain max len:\t2968
Stats thread ests:\t7123200
"""
"""Of Linux 7.2.7, before the first connection; so are the next two, during a burst."""

GROWN = EMPTY.replace(
    "Conns:\t0\nConn buckets:\t256 (8 bits, lfactor -4)\n",
    """\
Conns:\t126
Conn buckets:\t2048 (11 bits, lfactor -4)
Conn buckets empty:\t1928 (94%)
Conn buckets len-1:\t114 (95%)
Conn buckets len-2:\t6 (5%)
""",
)
CROWDED = """\
Conns:\t300
Conn buckets:\t256 (8 bits, lfactor 4)
Conn buckets empty:\t68 (26%)
Conn buckets len-1:\t109 (57%)
Conn buckets len-2:\t53 (28%)
Conn buckets len-3:\t21 (11%)
Conn buckets len-4:\t4 (2%)
Conn buckets len-6:\t1 (0%)
Services:\t1
"""


def test_a_table_as_the_kernel_tells_it() -> None:
    assert parse_table_status(GROWN) == TableStatus(
        entries=126, buckets=2048, lfactor=-4, empty_buckets=1928, chains={"1": 114, "2": 6}
    )


def test_an_empty_table_has_no_chains() -> None:
    found = parse_table_status(EMPTY)
    assert found == TableStatus(entries=0, buckets=256, lfactor=-4, empty_buckets=None, chains={})
    assert found.longest_chain is None


@pytest.mark.parametrize("text", [GROWN, CROWDED])
def test_the_chains_hold_every_entry_and_every_bucket(text: str) -> None:
    found = parse_table_status(text)
    assert found is not None
    assert sum(int(length) * buckets for length, buckets in found.chains.items()) == found.entries
    assert sum(found.chains.values()) + (found.empty_buckets or 0) == found.buckets


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (EMPTY, "0 entries in 256 buckets (lfactor -4)"),
        (GROWN, "126 entries in 2,048 buckets (lfactor -4), chains of up to 2"),
        (CROWDED, "300 entries in 256 buckets (lfactor 4), chains of up to 6"),
        (
            CROWDED.replace("len-6", "len-7"),
            "300 entries in 256 buckets (lfactor 4), chains of up to 7 or more",
        ),
        ("Conns:\t1\n", "1 entry"),
    ],
)
def test_a_table_in_words(text: str, words: str) -> None:
    found = parse_table_status(text)
    assert found is not None
    assert in_words(found) == words


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cat: /proc/net/ip_vs_status: Permission denied\n",
        "Conns:\t-3\n",
        "Conns:\t99999999999\n",
        "Conns:\t9999999999\n",
        " Conns:\t1\n",
        "x" * MAX_CHARACTERS + GROWN,
    ],
)
def test_what_is_no_status_is_none(text: str) -> None:
    assert parse_table_status(text) is None


def test_a_number_that_no_kernel_means_is_left_out() -> None:
    found = parse_table_status(GROWN.replace("lfactor -4", "lfactor 99").replace("1928", "9" * 10))
    assert found is not None
    assert (found.buckets, found.lfactor, found.empty_buckets) == (2048, None, None)


COUNTS = st.integers(0, MAX_NUMBER)
LENGTHS = st.integers(1, LONGEST_CHAIN).map(str)
STATUSES = st.builds(
    TableStatus,
    entries=COUNTS,
    buckets=st.none() | COUNTS,
    lfactor=st.none() | st.integers(-8, 8),
    empty_buckets=st.none() | COUNTS,
    chains=st.dictionaries(LENGTHS, st.integers(1, MAX_NUMBER)),
)


def read_again(status: TableStatus) -> TableStatus | None:
    facts = json.loads(json.dumps({"table_status": to_manifest(status)}))
    return manifest_of({"directors": {"bal01": facts}}).directors["bal01"].table_status


@given(STATUSES)
def test_the_manifest_gives_back_what_was_written(status: TableStatus) -> None:
    assert read_again(status) == status
    assert in_words(status)


def test_what_was_not_read_is_null_in_the_manifest() -> None:
    assert to_manifest(None) is None


@st.composite
def kernel_texts(draw: st.DrawFn) -> tuple[str, TableStatus]:
    """What ``ip_vs_status_show`` prints of some table, and that table."""
    bits = draw(st.integers(8, 27))
    lfactor = draw(st.integers(-8, 8))
    chains = draw(st.dictionaries(LENGTHS, st.integers(1, 2**20), min_size=1))
    entries = draw(st.integers(1, 2**30))
    empty = draw(st.integers(0, 2**27))
    lines = [
        f"Conns:\t{entries}",
        f"Conn buckets:\t{2**bits} ({bits} bits, lfactor {lfactor})",
        f"Conn buckets empty:\t{empty} ({draw(st.integers(0, 100))}%)",
        *(f"Conn buckets len-{length}:\t{n} (3%)" for length, n in sorted(chains.items())),
        "Services:\t3",
        "Service buckets:\t16 (4 bits, lfactor -3)",
        "Service buckets empty:\t13 (81%)",
        "Service buckets len-1:\t3 (100%)",
    ]
    status = TableStatus(
        entries=entries, buckets=2**bits, lfactor=lfactor, empty_buckets=empty, chains=chains
    )
    return "\n".join(lines) + "\n", status


@given(kernel_texts())
def test_every_text_of_the_kernel_is_read_whole(case: tuple[str, TableStatus]) -> None:
    text, status = case
    assert parse_table_status(text) == status


HOSTILE = st.text(max_size=300) | st.builds(
    "".join,
    st.lists(
        st.sampled_from([*GROWN.splitlines(keepends=True), *CROWDED.splitlines(keepends=True)])
        | st.from_regex(r"\AConn( buckets)?( empty| len-\d)?:\t\d{1,30} ?\(?[^\n]{0,9}\n\Z")
        | st.text(max_size=40),
        max_size=30,
    ),
)


@given(HOSTILE)
def test_any_text_is_read_without_an_error_and_within_bounds(text: str) -> None:
    found = parse_table_status(text)
    if found is None:
        return
    numbers = [found.entries, found.buckets or 0, found.empty_buckets or 0, *found.chains.values()]
    assert all(0 <= number <= MAX_NUMBER for number in numbers)
    assert all(1 <= int(length) <= LONGEST_CHAIN for length in found.chains)
    assert read_again(found) == found


@pytest.mark.parametrize(
    ("said", "bytes_"),
    [(280, 280), (288, 288), (0, None), (-5, None), (10**9, None)],
)
def test_the_bytes_of_an_entry_are_taken_where_they_can_be_true(
    said: int, bytes_: int | None
) -> None:
    assert entry_bytes_of(said) == bytes_


@pytest.mark.parametrize(
    ("entries", "most", "full"), [(19, 20, False), (20, 20, True), (0, 0, True)]
)
def test_a_table_is_full_at_its_limit(entries: int, most: int, full: bool) -> None:
    assert is_full(entries, most) == full
