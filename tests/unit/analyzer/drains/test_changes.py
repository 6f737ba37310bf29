"""The changes of drained servers' entries: read once, and what ended before does not count."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.drains.changes import Wanted, changes_of_each
from analyzer.drains.remaining import remaining
from analyzer.recording.polls import EntryPolls
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, clock, director, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from analyzer.arrays import Bools

POLLS = 9
SERVERS = ("192.168.10.21", "192.168.10.22")


def change(at_s: int, kind: str, port: int, state: str, left_s: int) -> dict[str, Any]:
    row = {"at": BOOT_NS + at_s * NS, "director": "bal01", "change": kind, "protocol": "TCP"}
    row |= {"state": state, "expires_s": left_s, "client_ip": "10.0.0.1", "client_port": port}
    row |= {"vip": "10.9.9.9", "port": 80, "real_server": SERVERS[port % 2], "real_port": 80}
    return row


CHANGES = st.lists(
    st.builds(
        change,
        st.integers(0, POLLS),
        st.sampled_from(["appeared", "state", "gone"]),
        st.integers(0, 5),  # port 0 is a template's
        st.sampled_from(["FIN_WAIT", "ESTABLISHED"]),
        st.integers(0, 9),
    ),
    max_size=30,
).map(lambda rows: sorted(rows, key=lambda row: row["at"]))


def of_server(rows: pd.DataFrame, server: str) -> Bools:
    return (rows["real_server"] == server).to_numpy(dtype=bool)


def facts(rows: pd.DataFrame, since_ns: int) -> list[Any]:
    """What is left of these entries, as plain values."""
    at_ns = BOOT_NS + np.arange(POLLS + 1) * NS
    polls = EntryPolls(at_ns=at_ns, by_ns=at_ns, is_whole=np.ones(POLLS + 1, dtype=bool))
    record: Any = SimpleNamespace(clock=clock(), entry_polls=polls)
    left = remaining(rows, since_ns, director(), record)
    renewed = left.renewed[["at_ns", "client_port"]].to_numpy().tolist()
    edges_ns = sorted(zip(left.first_ns.tolist(), left.last_ns.tolist(), strict=True))
    return [left.n_left, left.gone_ns, left.is_renewed, renewed, edges_ns]


@given(rows=CHANGES, since_s=st.integers(0, POLLS), read=st.integers(1, 9), most=st.integers(0, 9))
def test_what_is_left_is_the_same_without_what_ended_before(
    rows: list[dict[str, Any]], since_s: int, read: int, most: int
) -> None:
    changes, since_ns = table("entries", rows), BOOT_NS + since_s * NS
    parts = [changes.iloc[at : at + read] for at in range(0, len(rows) + 1, read)]
    wanted = [Wanted(has=partial(of_server, server=one), since_ns=since_ns) for one in SERVERS]
    for server, found in zip(SERVERS, changes_of_each(parts, wanted, most), strict=True):
        whole = changes[of_server(changes, server)]
        assert facts(found, since_ns) == facts(whole, since_ns)


def test_all_servers_are_looked_for_in_one_reading_and_memory_is_bounded() -> None:
    held, reads = [], 0

    def parts() -> Iterator[pd.DataFrame]:
        nonlocal reads
        reads += 1
        for at_s in range(40):  # each entry is there for one poll
            rows = [change(at_s, kind, 2 + at_s, "FIN_WAIT", 9) for kind in ("appeared", "gone")]
            yield table("entries", rows)

    wanted = [
        Wanted(has=partial(of_server, server=one), since_ns=BOOT_NS + 39 * NS) for one in SERVERS
    ]
    held = changes_of_each(parts(), wanted, 4)
    assert reads == 1
    assert all(len(rows) <= 6 for rows in held)
    assert not changes_of_each(parts(), [])
