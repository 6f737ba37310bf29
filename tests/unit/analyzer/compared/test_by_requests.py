"""A director's entries beside the requests behind them, without a capture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from analyzer.compared.by_requests import with_requests
from analyzer.observed.entries import numbered, tracked_by
from analyzer.observed.numbering import gathered
from analyzer.observed.parted import Parted
from analyzer.parts import InMemory
from analyzer.recording.polls import EntryPolls
from analyzer.recording.requests import RequestRows
from tests.unit.analyzer.builders_packets import CLIENT, NS, PORT, VIP, table
from tests.unit.analyzer.builders_tracked import at, life, tracked
from tests.unit.properties import examples

if TYPE_CHECKING:
    from collections.abc import Hashable


def joined(entries: pd.DataFrame, changes: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """All in memory."""
    return with_requests(Parted.of(entries), Parted.of(changes), RequestRows.of(rows)).whole()


def requests(
    *rows: tuple[int | None, float | None], reused: int | None = None, vip: str | None = VIP
) -> pd.DataFrame:
    """Of requests (source port, end in seconds), the first of which has a connection of its own."""
    return pd.DataFrame(
        {
            "id": range(len(rows)),
            "reused": pd.array([None, *[reused] * (len(rows) - 1)][: len(rows)], dtype="Int64"),
            "source_ip": [CLIENT if port else None for port, _ in rows],
            "source_port": pd.array([port for port, _ in rows], dtype="Int64"),
            "vip": pd.array([vip] * len(rows), dtype="string"),
            "port": pd.array([PORT] * len(rows), dtype="Int64"),
            "closed": pd.Series([None] * len(rows), dtype="datetime64[ns, UTC]"),
            "ended": pd.Series([at(ended) for _, ended in rows], dtype="Int64").astype(
                "datetime64[ns, UTC]"
            ),
        }
    )


def changes(*flows: tuple[int, int], vip: str = VIP) -> pd.DataFrame:
    """``observed.numbered`` changes, as far as they show a client: (flow, port)."""
    rows = [(flow, CLIENT, port, vip, PORT) for flow, port in flows for _ in range(2)]
    frame = pd.DataFrame(rows, columns=["flow", "client_ip", "client_port", "vip", "port"])
    return frame.astype(
        {"client_ip": "string", "client_port": "Int64", "vip": "string", "port": "Int64"}
    )


def test_without_a_capture_the_request_of_that_port_stands_for_the_last_packet() -> None:
    found = joined(
        tracked(life(0, 1000.1, 1020.0, 1020.25), life(7, 1000.1, 1020.0, 1020.25)),
        changes((0, 40001), (7, 40007)),
        requests((40001, 1000.2), (40002, 1000.3), (None, None)),
    )
    by_flow = {row["flow"]: row["last_ns"] for row in found.to_dict("records")}
    assert by_flow[0] == at(1000.2)
    assert pd.isna(by_flow[7])  # not ours


def test_a_port_that_serves_two_targets_at_a_time_has_a_request_of_each() -> None:
    other = "192.168.10.102"
    found = joined(
        tracked(life(0, 1000.1, 1020.0, 1020.25), life(1, 1000.1, 1020.0, 1020.25)),
        pd.concat([changes((0, 40001)), changes((1, 40001), vip=other)]),
        pd.concat(
            [requests((40001, 1000.2)), requests((40001, 1000.9), vip=other)], ignore_index=True
        ),
    )
    assert found.set_index("flow")["last_ns"].to_dict() == {0: at(1000.2), 1: at(1000.9)}


def test_a_request_whose_target_is_not_known_is_joined_by_its_port() -> None:
    found = joined(
        tracked(life(0, 1000.1, 1020.0, 1020.25)),
        changes((0, 40001)),
        requests((40001, 1000.2), vip=None),
    )
    assert found["last_ns"].tolist() == [at(1000.2)]


def test_of_two_requests_of_a_port_the_nearer_one_counts() -> None:
    found = joined(
        tracked(life(0, 1030.0, None, None)),
        changes((0, 1)),
        requests((1, 1000.2), (1, 1029.9), (1, 1060.0)),
    )
    assert found["last_ns"].tolist() == [at(1029.9)]


def test_of_the_requests_of_one_connection_the_last_counts() -> None:
    found = joined(
        tracked(life(0, 1000.1, None, None)),
        changes((0, 1)),
        requests((1, 1000.2), (1, 1020.0), (1, 1045.0), reused=1),
    )
    assert found["last_ns"].tolist() == [at(1045.0)]


@pytest.mark.parametrize("rows", [(), ((1, None),), ((None, None),)])
def test_requests_that_never_ended_stand_for_nothing(
    rows: tuple[tuple[int | None, float | None], ...],
) -> None:
    found = joined(tracked(life(0, 1000.1, None, None)), changes((0, 1)), requests(*rows))
    assert found["last_ns"].isna().all()


CLIENTS = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
CONNECTIONS = st.lists(
    st.fixed_dictionaries(
        {
            "at_s": st.integers(0, 200),
            "client_ip": st.sampled_from(CLIENTS),
            "client_port": st.integers(1, 3),
            "vip": st.sampled_from(["10.9.9.1", "10.9.9.2"]),
            "protocol": st.sampled_from(["TCP", "TCP", "UDP"]),
        }
    ),
    min_size=1,
    max_size=20,
)


def change(connection: dict[str, Any], kind: str, after_s: int) -> dict[str, Any]:
    """A change of a connection's entry."""
    made = {name: value for name, value in connection.items() if name != "at_s"}
    server = {"real_server": "10.0.1.1", "real_port": PORT, "director": "bal01", "port": PORT}
    at_ns = (1000 + connection["at_s"] + after_s) * NS
    return made | server | {"at": at_ns, "change": kind, "state": "FIN_WAIT", "expires_s": 9}


AFTER = {"appeared": 0, "gone": 20}
REQUESTS = st.lists(
    st.builds(
        lambda ended_s, closed_s, client, port, vip, reused: {
            "ended": None if ended_s is None else round((1000 + ended_s) * NS),
            "closed": None if closed_s is None else round((1000 + closed_s) * NS),
            "source_ip": client,
            "source_port": port,
            "vip": vip,
            "port": PORT,
            "reused": reused,
        },
        ended_s=st.none() | st.integers(0, 200),
        closed_s=st.none() | st.integers(0, 200),
        client=st.sampled_from([*CLIENTS[1:], "10.0.0.9"]),
        port=st.none() | st.integers(1, 3),
        vip=st.sampled_from(["10.9.9.1", "10.9.9.2", "10.9.9.3"]),
        reused=st.sampled_from([None, 1]),
    ),
    max_size=30,
)
NONE = np.zeros(0, dtype=np.int64)
NO_POLLS = {"bal01": EntryPolls(at_ns=NONE, by_ns=NONE, is_whole=NONE == 1)}


def seek_end(
    entry: dict[Hashable, Any], client: pd.Series, rows: list[dict[str, Any]], *names: str
) -> int | None:
    """The end that an entry belongs to, by looking at every request."""
    near_ns = []
    for number, row in enumerate(rows):
        after = rows[number + 1] if number + 1 < len(rows) else {"reused": None}
        end = [row[name] for name in ("source_ip", "source_port")]
        goes_on = after["reused"] and end == [after["source_ip"], after["source_port"]]
        is_ours = end == [client["client_ip"], client["client_port"]]
        is_ours = is_ours and all(row[name] == client[name] for name in names)
        if is_ours and row["ended"] is not None and not goes_on:
            last_ns = row["closed"] or row["ended"]
            near_ns.append((abs(last_ns - entry["appeared_ns"]), last_ns))
    nearest = [ended for off, ended in sorted(near_ns) if off <= 60 * NS]
    return nearest[0] if nearest else None


@examples(30)
@given(made=CONNECTIONS, sent=REQUESTS, part_rows=st.integers(1, 20), knows_targets=st.booleans())
def test_entries_in_parts_have_the_ends_that_the_whole_has(
    made: list[dict[str, Any]], sent: list[dict[str, Any]], part_rows: int, *, knows_targets: bool
) -> None:
    rows = [change(each, kind, at_s) for kind, at_s in AFTER.items() for each in made]
    sent = [row | {"id": number} for number, row in enumerate(sent)]
    if not knows_targets and sent:
        sent[0] |= {"vip": None, "ended": 1000 * NS, "source_port": 1}
        sent[1:2] = [row | {"reused": None} for row in sent[1:2]]
    changes, requests = table("entries", rows), RequestRows.of(table("requests", sent))
    whole, store = numbered(changes, None), InMemory(part_rows)
    entries = tracked_by(whole, NO_POLLS)
    found = with_requests(Parted.of(entries), Parted.of(whole), requests).whole()
    clients = whole.drop_duplicates("flow").set_index("flow")
    names = ("vip", "port") if knows_targets else ()
    assert [None if pd.isna(last) else last for last in found["last_ns"]] == [
        seek_end(entry, clients.loc[entry["flow"]], sent, *names)
        for entry in entries.to_dict("records")
    ]
    parts = gathered(Parted.of(changes), len(rows), store, ignore).numbered(None, ignore)
    in_parts = parts.map(partial(tracked_by, entry_polls=NO_POLLS))
    cut = with_requests(in_parts, parts, replace(requests, store=store))
    assert_frame_equal(cut.whole(), found)


def ignore(rows: pd.DataFrame) -> None:
    """Nothing is to be noticed."""
