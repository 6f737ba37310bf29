"""Changes are all that is stored, and the table comes back from them, at any instant."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from analyzer.ipvs.proc.entry_rows import entries_of, rows_of
from analyzer.ipvs.proc.formats import Entry
from analyzer.ipvs.table_diff.reads import WHOLE_READ_LINES
from analyzer.ipvs.table_diff.tracking import KINDS, TableTracker
from analyzer.observed.table_at import entries_at
from tests.unit.analyzer.builders_packets import NS, table
from tests.unit.properties import examples

if TYPE_CHECKING:
    import pandas as pd

TORN = WHOLE_READ_LINES + 1
STATES = ("ESTABLISHED", "FIN_WAIT", "SYN_RECV")


def entry(port: int, state: str, server: int = 21, expires_s: int = 900) -> Entry:
    return Entry(
        protocol="TCP",
        client_ip="192.168.10.250",
        client_port=port,
        vip="192.168.10.2",
        port=80,
        real_server=f"192.168.10.{server}",
        real_port=80,
        state=state,
        expires_s=expires_s,
    )


def recorded(
    reads: list[list[Entry]], lines: int | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What is stored of reads a second apart, of ``lines`` each or as many as they have."""
    tracker = TableTracker()
    rows: list[dict[str, Any]] = []
    for second, read in enumerate(reads, 1):
        found = tracker.update(second * NS, rows_of(read), len(read) if lines is None else lines)
        tables = zip(found.at_ns.tolist(), found.kind, entries_of(found.rows), strict=True)
        rows += [
            {"at": at_ns, "director": "bal01", "change": KINDS[kind], **asdict(one)}
            for at_ns, kind, one in tables
        ]
    polls = [
        {"at": second * NS, "director": "bal01", "what": "entries"}
        for second in range(1, len(reads) + 1)
    ]
    return table("entries", rows), table("polls", polls)


def seen(frame: pd.DataFrame) -> dict[int, tuple[str, str]]:
    return {
        port: (state, server)
        for port, state, server in zip(
            frame["client_port"], frame["state"], frame["real_server"], strict=True
        )
    }


def as_seen(read: list[Entry]) -> dict[int, tuple[str, str]]:
    return {one.client_port: (one.state, one.real_server) for one in read}


reads = st.lists(
    st.lists(
        st.builds(entry, st.integers(1, 6), st.sampled_from(STATES), st.sampled_from([21, 22])),
        max_size=6,
        unique_by=lambda one: one.client_port,
    ),
    min_size=1,
    max_size=8,
)


@given(reads, st.data())
@examples(60)
def test_whole_reads_come_back_as_they_were(tables: list[list[Entry]], data: st.DataObject) -> None:
    changes, polls = recorded(tables)
    second = data.draw(st.integers(1, len(tables)))
    later_ns = data.draw(st.integers(0, NS - 1))
    found = entries_at(changes, polls, second * NS + later_ns)
    assert seen(found) == as_seen(tables[second - 1])
    assert set(found["polled_ns"]) <= {second * NS}


@given(reads)
@examples(60)
def test_torn_reads_come_back_with_what_was_missed_and_found_again(
    tables: list[list[Entry]],
) -> None:
    changes, polls = recorded(tables, TORN)
    for second, read in enumerate(tables, 1):
        there = seen(entries_at(changes, polls, second * NS))
        assert there.items() >= as_seen(read).items()
        before = [as_seen(one) for one in tables[: second - 1]]
        after = [as_seen(one) for one in tables[second:]] or [there]
        for port in there.keys() - as_seen(read).keys():  # missed by this read, not by the next
            assert there[port] in [one.get(port) for one in before]
            assert port in after[0]


def test_before_the_first_poll_nothing_is_known() -> None:
    changes, polls = recorded([[entry(1, "FIN_WAIT")]])
    assert entries_at(changes, polls, NS - 1).empty
    assert len(entries_at(changes, polls, NS)) == 1
    only_services = polls.assign(what="services")
    assert entries_at(changes, only_services, NS).empty


def test_what_is_left_of_a_timer_runs_down_and_of_a_busy_one_is_not_known() -> None:
    changes, polls = recorded([[entry(1, "FIN_WAIT", expires_s=20), entry(2, "ESTABLISHED")]])
    for later_s, left_s in ((0, 20), (5, 15), (60, 0)):
        found = entries_at(changes, polls, (1 + later_s) * NS).set_index("client_port")
        assert found["expires_s"][1] == left_s
        assert found["expires_s"].isna()[2]
    assert "change" not in found
