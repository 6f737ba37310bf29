"""Instants of today, odd to the nanosecond, come through everything that joins them unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analyzer.compared.agreement import Tolerance, agreement
from analyzer.compared.by_requests import with_requests
from analyzer.compared.join import with_packets
from analyzer.failover.handshakes import by_the_wire
from analyzer.ipvs.states import Flag, State
from analyzer.observed.absences import absences
from analyzer.observed.entries import (
    Sampled,
    entry_polls_of,
    ns,
    numbered,
    state_samples,
)
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import Prediction
from analyzer.recording.directory import Recording, RecordingWriter
from analyzer.recording.instants import latest_row, midway_ns, seconds_since
from analyzer.recording.requests import RequestRows
from analyzer.wire.segments import Segments
from tests.unit.analyzer.builders_packets import CLIENT, PORT, VIP, clock, flows, table
from tests.unit.analyzer.builders_run import Stage, closed, opened
from tests.unit.analyzer.builders_tracked import tracked_of
from tests.unit.properties import examples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NOW_NS = 1_800_000_000_000_000_001
A_DAY_NS = 86_400_000_000_000

instants = st.integers(0, A_DAY_NS).map(lambda since: NOW_NS + since)
"""Of any parity: of 256 of them a float64 keeps one."""


@given(
    rows=st.lists(st.tuples(st.integers(0, 6), instants), max_size=12).map(sorted),
    wanted=st.lists(
        st.tuples(st.integers(0, 7), instants | st.sampled_from([0, 2**63 - 1])), max_size=12
    ),
    apart=st.sampled_from([1, 50_000_000]),  # further apart, a flow and an instant are no number
)
def test_the_latest_row_of_a_flow_is_the_last_that_began_by_then(
    rows: list[tuple[int, int]], wanted: list[tuple[int, int]], apart: int
) -> None:
    def columns(pairs: list[tuple[int, int]]) -> Any:
        flow, at_ns = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        return flow * apart, at_ns

    def last(flow: int, by_ns: int) -> int:
        return max((n for n, (of, at) in enumerate(rows) if of == flow and at <= by_ns), default=-1)

    found = latest_row(*columns(rows), *columns(wanted))
    assert found.tolist() == [last(*each) for each in wanted]


@st.composite
def entries_seen(draw: st.DrawFn) -> list[tuple[int, int | None, int]]:
    """Of each entry: when it appeared, when it was found gone (None: never), ms a look took."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        first, last = sorted(draw(st.lists(instants, min_size=2, max_size=2, unique=True)))
        found.append((first, last if draw(st.booleans()) else None, draw(st.integers(0, 3000))))
    return found


def recorded(seen: list[tuple[int, int | None, int]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The changes and the polls of such entries, as a recording has them."""
    changes: list[dict[str, Any]] = []
    polled: dict[int, int] = {}
    for port, (first_ns, gone_ns, took_ms) in enumerate(seen, 1):
        row = {
            "director": "bal01",
            "protocol": "TCP",
            "state": "FIN_WAIT",
            "expires_s": 9,
            "client_ip": CLIENT,
            "client_port": port,
            "vip": VIP,
            "port": PORT,
            "real_server": "192.168.10.21",
            "real_port": 80,
        }
        changes.append(row | {"at": first_ns, "change": "appeared"})
        polled.setdefault(first_ns, 0)
        if gone_ns is not None:
            changes.append(row | {"at": gone_ns, "change": "gone"})
            polled[gone_ns] = max(polled.get(gone_ns, 0), took_ms)
    entry_polls = [
        {"at": at, "director": "bal01", "what": "entries", "asked": at, "took_ms": float(took)}
        for at, took in polled.items()
    ]
    return table("entries", changes), table("polls", entry_polls)


@given(entries_seen())
def test_when_an_entry_went_is_kept_to_the_nanosecond_beside_one_that_stays(
    seen: list[tuple[int, int | None, int]],
) -> None:
    changes, polls = recorded(seen)
    found = tracked_of(numbered(changes, None), polls).to_dict("records")
    polled = sorted(ns(polls["at"]).tolist())
    took = dict(zip(ns(polls["at"]).tolist(), polls["took_ms"].tolist(), strict=True))
    by_flow = {row["flow"]: row for row in found}
    for flow, (first_ns, gone_ns, _) in enumerate(seen):
        row = by_flow[flow]
        assert row["appeared_ns"] == first_ns
        if gone_ns is None:
            assert pd.isna(row["absent_ns"])
            assert pd.isna(row["seen_ns"])
            assert pd.isna(row["absent_by_ns"])
        else:
            assert row["absent_ns"] == gone_ns
            assert row["seen_ns"] == max(at for at in polled if at < gone_ns)
            assert row["absent_by_ns"] == gone_ns + round(took[gone_ns]) * 1_000_000


@given(st.lists(instants, min_size=2, max_size=6, unique=True))
def test_states_and_absences_have_the_instants_of_their_polls(at_ns: list[int]) -> None:
    seen: list[tuple[int, int | None, int]] = [(at_ns[0], None, 0)]
    changes, polls = recorded([*seen, *((at, None, 0) for at in at_ns[1:])])
    sampled = state_samples(Parted.of(numbered(changes, None)), entry_polls_of(polls, "bal01"))
    assert sampled.polled_ns.tolist() == sorted(at_ns)
    removed, added = sorted(at_ns)[:2]
    events = [
        {"at": removed, "host": "bal01", "kind": "server-removed", "detail": "192.168.10.21:80"},
        {"at": added, "host": "bal01", "kind": "server-added", "detail": "192.168.10.21:80"},
    ]
    (gap,) = absences(table("services", []), table("events", events)).to_dict("records")
    assert (gap["from_ns"], gap["to_ns"]) == (removed, added)


def predicted(*ends: tuple[int, int]) -> Prediction:
    """Of entries of flows 0, 1, ...: first packet, and end."""
    entries = pd.DataFrame(
        {
            "flow": np.arange(len(ends)),
            "first_ns": [first for first, _ in ends],
            "last_ns": [first + 1 for first, _ in ends],
            "state": np.full(len(ends), State.FIN_WAIT, dtype=np.int8),
            "timeout_s": 20.0,
            "ends_ns": [end for _, end in ends],
            "cause": "timer",
        }
    )
    steps = pd.DataFrame({"entry": [], "flow": [], "at_ns": [], "state": []}, dtype="int64")
    return Prediction(director="bal01", entries=entries, steps=steps, dropped_syns=0)


@given(
    first=instants, spans=st.tuples(*[st.integers(2, A_DAY_NS)] * 2), strangers=st.integers(1, 3)
)
def test_an_entry_beside_strangers_has_the_very_instants_of_its_packets(
    first: int, spans: tuple[int, int], strangers: int
) -> None:
    """Rows that find no partner make floats of int64 columns in most joins."""
    gone_ns = first + sum(spans)
    seen: list[tuple[int, int | None, int]] = [(first, gone_ns, 0)]
    changes, polls = recorded(seen + [(first + 1, None, 0)] * strangers)
    lives = tracked_of(numbered(changes, flows([(1, "TCP")])), polls)
    near = np.array([first], dtype=np.int64)
    mine = Segments(
        flow=np.array([0]),
        at_ns=near,
        to_vip=np.array([True]),
        flag=np.array([Flag.SYN], dtype=np.int8),
        sequence=np.array([0]),
        ttl=np.array([64], dtype=np.uint8),
        source_mac=np.array([0]),
        destination_mac=np.array([0]),
        flows=flows([(1, "TCP")]),
    )
    found = with_packets(Parted.of(lives), predicted((first, first + spans[0])), segments=mine)
    joined = found.whole()
    ours = joined[joined["entry"].notna()].to_dict("records")
    assert [(row["last_ns"], row["ends_ns"]) for row in ours] == [(first + 1, first + spans[0])]
    assert len(joined) == 1 + strangers
    assert joined["last_ns"].isna().sum() == strangers
    firsts = joined["first_packet_ns"]
    assert firsts.dropna().tolist() == [first]
    assert firsts.isna().sum() == strangers


@given(ended=instants, strangers=st.integers(1, 3))
def test_an_entry_beside_strangers_has_the_very_end_of_its_request(
    ended: int, strangers: int
) -> None:
    seen: list[tuple[int, int | None, int]] = [(ended - 5, None, 0)] * (1 + strangers)
    changes, polls = recorded(seen)
    entries = numbered(changes, None)
    request = {"started": ended - 5, "ended": ended, "source_ip": CLIENT, "source_port": 1}
    joined = with_requests(
        Parted.of(tracked_of(entries, polls)),
        Parted.of(entries),
        RequestRows.of(table("requests", [request])),
    ).whole()
    assert joined["last_ns"].dropna().tolist() == [ended]
    assert joined["last_ns"].isna().sum() == strangers


@given(begun=instants, took=st.tuples(*[st.integers(1, 10**9)] * 2))
def test_a_handshake_has_the_very_instants_of_its_packets(
    begun: int, took: tuple[int, int]
) -> None:
    answered = begun + sum(took)
    wire = Segments(
        flow=np.array([0, 0]),
        at_ns=np.array([begun + took[0], answered], dtype=np.int64),
        to_vip=np.array([True, False]),
        flag=np.array([Flag.SYN, Flag.SYN], dtype=np.int8),
        sequence=np.array([0, 0]),
        ttl=np.array([64, 64], dtype=np.uint8),
        source_mac=np.array([0, 0]),
        destination_mac=np.array([0, 0]),
        flows=flows([(1, "TCP")]),
    )
    head = {"started": begun, "source_ip": CLIENT}
    requests = table(
        "requests",
        [
            head | {"connected": answered + 7, "source_port": 1},
            head | {"connected": answered + 7, "source_port": 2},
            head | {"source_port": 3},
        ],
    )
    found = by_the_wire(requests, wire)
    assert ns(found["asked"].dropna()).tolist() == [begun + took[0]]
    assert ns(found["connected"].dropna()).tolist() == [answered, answered + 7]


@given(seen=instants, look=st.integers(1, 10**9), strays=st.integers(0, 255))
def test_an_end_within_its_look_is_put_down_to_the_poll_to_the_nanosecond(
    seen: int, look: int, strays: int
) -> None:
    row = {
        "entry": [0],
        "flow": [0],
        "real_server": ["192.168.10.21:80"],
        "appeared_ns": [seen - 20 * 10**9],
        "cause": ["timer"],
        "last_ns": [seen - 20 * 10**9],
        "ends_ns": [seen + min(strays, look)],
        "timeout_s": [20.0],
        "seen_ns": [seen],
        "absent_ns": [seen + look],
        "absent_by_ns": [seen + look],
    }
    instants_of = {name: "Int64" for name in row if name.endswith("_ns")}
    lives = pd.DataFrame(row).astype(instants_of | {"appeared_ns": "int64"})
    nothing = pd.DataFrame({"flow": [], "state": [], "first": [], "until": []})
    sampled = Sampled(polled_ns=np.zeros(0, dtype=np.int64), held=Parted.of(nothing))
    doubt = Tolerance(clock_s=0.0, phase_is_known=True, unseen_packets=False, hz=100)
    found = agreement(predicted((seen, seen)), Parted.of(lives), sampled, [], [], doubt)
    assert found.residuals == {"poll": 1}


@given(st.lists(instants, min_size=1, max_size=5))
def test_a_clock_gives_back_an_instant_to_the_step_of_its_floats(at_ns: list[int]) -> None:
    """An uptime of days, as float64 seconds, holds an instant to 0.1 microseconds."""
    own = clock(NOW_NS - A_DAY_NS)
    given_back = own.client_ns(own.uptime_s(np.array(at_ns, dtype=np.int64)))
    assert np.abs(given_back - np.array(at_ns, dtype=np.int64)).max() <= 100


@given(instants, instants)
def test_the_middle_and_the_seconds_are_those_of_whole_numbers(one: int, other: int) -> None:
    early, late = (np.array([each], dtype=np.int64) for each in sorted((one, other)))
    assert midway_ns(early, late).tolist() == [(int(early[0]) + int(late[0])) // 2]
    assert seconds_since(late, early).tolist() == [(int(late[0]) - int(early[0])) / 1e9]


@given(at_ns=st.lists(instants, min_size=1, max_size=4))
@examples(10)
def test_a_recording_gives_its_instants_back(
    tmp_path_factory: pytest.TempPathFactory, at_ns: list[int]
) -> None:
    path = tmp_path_factory.mktemp("run")
    writer = RecordingWriter(path / "run", {})
    writer.extend("requests", [{"id": 1, "started": at} for at in at_ns])
    writer.extend(
        "requests", [{"id": 2, "scheduled": at_ns[0]}]
    )  # not begun: a row without an instant
    writer.close("completed")
    found = Recording.open(path / "run").table("requests")
    assert ns(found["started"].dropna()).tolist() == at_ns


def test_idle_entries_beside_a_burst_make_no_expiry_unexplained(tmp_path: Path) -> None:
    """A look reads its table after its instant, and an entry may go in between."""
    burst = [closed(40_000 + i, 1000 + 0.037 * i) for i in range(40)]
    idle = [opened(50_000 + i, 999.2 + 0.01 * i) for i in range(30)]
    stage = Stage(lives=[*burst, *idle], until_s=1030.0, poll_s=0.17300001, read_s=0.028)
    found = stage.played(tmp_path / "run")
    (agreed,) = found.agreement
    assert agreed.residuals == {"poll": 40}
    assert "prediction-differs" not in [finding.id for finding in found.findings]
    (row,) = (row for row in found.lifetimes if row.state == "FIN_WAIT")
    assert row.n_expired == 40
