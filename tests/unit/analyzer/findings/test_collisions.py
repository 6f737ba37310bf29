"""Ports that meet at a netfilter director: recordings of a real kernel, and cases by hand."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
import pytest

from analyzer.analysis import analyse
from analyzer.ipvs.states import Flag
from analyzer.observed.masquerades import (
    hidden_connections,
    most_at_once,
    no_hidden_connections,
    no_masquerades,
)
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import CAUSES, PORT_TAKEN, TIMER, Prediction
from analyzer.predicted.evictions import with_evictions
from analyzer.predicted.untracked import untracked
from analyzer.recording.directory import Recording
from tests.unit.analyzer.builders_conntrack import SYSCTL, Flow, Node, closed, left_open
from tests.unit.analyzer.builders_packets import BOOT_NS, CLIENT, NS, PORT, VIP, Seg, segments

if TYPE_CHECKING:
    from analyzer.observed.record import DirectorRecord
    from analyzer.report import Analysis
    from analyzer.results import Finding

DATA = Path(__file__).parents[3] / "data"
COLLISIONS = {
    "conntrack-insert-failed",
    "conntrack-port-reuse",
    "masquerade-collision",
    "node-port-collision",
}


@cache
def recorded(name: str) -> Analysis:
    return analyse(Recording.open(DATA / name))


def collision(found: Analysis) -> Finding:
    """The only one of these findings."""
    (finding,) = [finding for finding in found.findings if finding.id in COLLISIONS]
    return finding


def test_two_clients_behind_one_address_with_the_same_ports_are_a_collision() -> None:
    finding = collision(recorded("conntrack-masquerade"))
    assert (finding.id, finding.severity) == ("masquerade-collision", "info")
    assert "12 connections of 2 client addresses" in finding.evidence
    assert "6 could not keep the port" in finding.evidence
    assert "192.168.20.11:40405 stood for 192.168.10.249:40405" in finding.evidence


def test_without_a_source_port_left_the_lost_packets_are_counted_and_named() -> None:
    finding = collision(recorded("conntrack-masquerade-full"))
    assert (finding.id, finding.severity) == ("conntrack-insert-failed", "problem")
    assert finding.title.startswith("18 packets lost")
    assert "18 of them are SYNs of the service" in finding.evidence
    assert "Up to 8 source ports of 192.168.20.11" in finding.evidence


def test_an_entry_in_time_wait_whose_port_another_needs_ends_with_that_ones_syn() -> None:
    found = recorded("conntrack-masquerade-full")
    (early,) = found.ended_early
    assert (early.state, early.cause, early.n) == ("TIME_WAIT", "port-taken", 2)


def test_a_connection_from_a_node_port_that_is_reset_in_its_name_is_a_problem() -> None:
    finding = collision(recorded("conntrack-node-port"))
    assert (finding.id, finding.severity) == ("node-port-collision", "problem")
    assert "port 30080, in Kubernetes' NodePort range" in finding.evidence
    assert "192.168.10.249:9000 to 192.168.10.11:30080" in finding.evidence


def test_a_port_that_comes_back_is_told_by_the_state_of_the_entry_that_it_meets() -> None:
    finding = collision(recorded("conntrack-open-port"))
    assert (finding.id, finding.severity) == ("conntrack-port-reuse", "warning")
    assert "2 connections ended the old entry (2 in TIME_WAIT)" in finding.evidence
    assert "1 connection went on with the old entry (1 in ESTABLISHED)" in finding.evidence
    assert "answered as for the old connection 1 time" in finding.evidence


def test_a_port_that_comes_back_in_time_wait_alone_is_no_fault() -> None:
    assert collision(recorded("conntrack-port-reuse")).severity == "info"


@pytest.mark.parametrize("name", ["conntrack-client-close", "conntrack-mix", "conntrack-udp"])
def test_without_a_collision_nothing_is_said_of_one(name: str) -> None:
    assert not COLLISIONS & {finding.id for finding in recorded(name).findings}


SECOND = 10_000
"""Added to the sequence numbers of a client that begins anew."""


def came_back(port: int, began_s: float, *replies: Seg) -> Flow:
    """An idle connection whose client begins another from the same port 5 s later."""
    whole = left_open(port, began_s)
    syn = Seg(began_s + 5, port, Flag.SYN, sequence=SECOND)
    return Flow(
        port=port, sent=(*whole.sent, syn, *replies), states=whole.states, waits_s=whole.waits_s
    )


def challenge(port: int, at_s: float) -> Seg:
    return Seg(at_s, port, Flag.ACK, reply=True, sequence=1100, acknowledgement=150)


def test_a_syn_into_an_open_entry_that_never_gets_a_syn_ack_is_a_problem(tmp_path: Path) -> None:
    flows = [closed(40000, 1000.0), came_back(40001, 1001.0, challenge(40001, 1006.1))]
    finding = collision(Node(flows=flows, until_s=1040).played(tmp_path / "run"))
    assert finding.severity == "problem"
    assert "1 of them waited or failed" in finding.title
    assert "1 in ESTABLISHED" in finding.evidence
    assert "1 never got one" in finding.evidence


@pytest.mark.parametrize(("answered_s", "severity"), [(0.89, "warning"), (0.91, "problem")])
def test_a_syn_ack_later_than_nine_tenths_of_a_second_is_a_wait(
    tmp_path: Path, answered_s: float, severity: str
) -> None:
    began_s = 1006.0
    answer = Seg(
        *(began_s + answered_s, 40001, Flag.SYN),
        reply=True,
        sequence=700_000,
        acknowledgement=SECOND + 1,
    )
    flows = [came_back(40001, 1001.0, challenge(40001, began_s + 0.1), answer)]
    assert collision(Node(flows=flows, until_s=1040).played(tmp_path / "run")).severity == severity


@pytest.mark.parametrize(("reply", "said"), [(Flag.RST, "it was reset"), (None, "nothing came")])
def test_what_came_back_first_is_said(tmp_path: Path, reply: Flag | None, said: str) -> None:
    replies = [Seg(1006.1, 40001, reply, reply=True, acknowledgement=SECOND + 1)] if reply else []
    flows = [came_back(40001, 1001.0, *replies)]
    assert said in collision(Node(flows=flows, until_s=1040).played(tmp_path / "run")).evidence


def opened(*steps: tuple[int, bool]) -> list[bool]:
    """Which segments are of connections that the director opened: flags, and whether from it."""
    rows = segments(
        Seg(1000.0 + number, 9000, Flag.ACK, reply=from_vip)
        for number, (_, from_vip) in enumerate(steps)
    )
    assert rows.tcp is not None
    flags = np.array([flags for flags, _ in steps], dtype=np.uint8)
    rows = replace(rows, tcp=replace(rows.tcp, flags=flags))
    found: list[bool] = untracked(rows, an_empty_record()).opened_here.tolist()
    return found


def an_empty_record() -> DirectorRecord:
    nothing = pd.DataFrame({"kind": [], "at": [], "since": [], "detail": []})
    return cast("DirectorRecord", SimpleNamespace(events=nothing))


def test_a_connection_belongs_to_the_director_from_its_syn_to_a_clients() -> None:
    steps = [
        *((ACK, False), (SYN, True), (SYN | ACK, False), (ACK, True), (ACK, False)),
        *((SYN, False), (SYN | ACK, True), (ACK, False)),
    ]
    assert opened(*steps) == [False, True, True, True, True, False, False, False]


def test_the_directors_own_connections_make_no_entry() -> None:
    (agreed,) = recorded("conntrack-node-port").agreement
    assert agreed.entries_predicted == agreed.entries_observed == 6


def unanswered(port: int, began_s: float) -> Flow:
    """A SYN of which no entry was ever seen."""
    return Flow(port=port, sent=(Seg(began_s, port, Flag.SYN, sequence=99),), states=())


@pytest.mark.parametrize(("since_s", "predicted"), [(1000.9, 1), (1001.2, 2)])
def test_a_syn_without_entry_counts_as_lost_while_the_counter_rose(
    tmp_path: Path, since_s: float, predicted: int
) -> None:
    flows = [closed(40000, 1000.0), unanswered(40001, 1001.0)]
    node = Node(
        flows=flows,
        until_s=1040,
        events=[(1003.0, "insert-failed", "4 -> 5")],
        events_since_s=since_s,
    )
    found = node.played(tmp_path / "run")
    assert found.agreement[0].entries_predicted == predicted
    finding = collision(found)
    assert finding.title.startswith("1 packet lost")
    assert ("1 of them are SYNs" in finding.evidence) == (predicted == 1)
    assert "why is not measured" in finding.evidence  # nothing shows a masquerade


def test_a_syn_that_made_an_entry_is_not_lost_whatever_the_counter_says(tmp_path: Path) -> None:
    silent = Flow(
        port=40001,
        sent=(Seg(1001.0, 40001, Flag.SYN, sequence=99),),
        states=((1001.0, "SYN_SENT"),),
        gone_s=1121.0,
        waits_s=120.0,
    )
    node = Node(flows=[silent], until_s=1130, events=[(1003.0, "insert-failed", "4 -> 5")])
    assert node.played(tmp_path / "run").agreement[0].entries_predicted == 1


def masqueraded(rows: list[tuple[float, int, int, str]]) -> pd.DataFrame:
    """Rows of ``masquerades/``: when, the client's port, the source's, the client."""
    return pd.DataFrame(
        [
            {
                "at": pd.Timestamp(BOOT_NS + round(at_s * NS), tz="UTC"),
                "director": "node01",
                "protocol": "TCP",
                "client_ip": client,
                "client_port": port,
                "vip": VIP,
                "port": PORT,
                "real_server": "10.1.0.1",
                "real_port": 80,
                "source_ip": "10.0.0.1",
                "source_port": source,
            }
            for at_s, port, source, client in rows
        ]
    )


def hidden(rows: pd.DataFrame, changes: pd.DataFrame, flows: pd.DataFrame | None = None) -> Parted:
    return hidden_connections(Parted.of(rows), Parted.of(changes), flows)


def gone(at_s: float, port: int, client: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "change": ["gone"],
            "at": [pd.Timestamp(BOOT_NS + round(at_s * NS), tz="UTC")],
            "protocol": ["TCP"],
            "client_ip": [client],
            "client_port": [port],
            "vip": [VIP],
            "port": [PORT],
        }
    )


SYN, ACK = 0x02, 0x10
OTHER = "10.9.0.9"


@pytest.mark.parametrize(("gone_s", "holder"), [(1004.9, -1), (1005.1, 0)])
def test_a_port_was_taken_only_while_its_holders_entry_was_there(
    gone_s: float, holder: int
) -> None:
    rows = masqueraded([(1000, 5000, 5000, OTHER), (1005, 5000, 6111, CLIENT)])
    found = hidden(rows, gone(gone_s, 5000, OTHER)).whole().sort_values("row")
    assert found["moved"].tolist() == [False, True]
    assert found["holder"].tolist() == [-1, holder]


def test_a_port_chosen_at_random_is_no_collision() -> None:
    rows = masqueraded([(1000, 5000, 6000, OTHER)])
    found = hidden(rows, gone(2000, 5000, OTHER)).whole()
    assert (found["moved"].tolist(), found["holder"].tolist()) == ([True], [-1])


def test_a_connection_that_was_recorded_twice_is_one() -> None:
    rows = masqueraded([(1000, 5000, 5000, OTHER), (1001, 5000, 5000, OTHER)])
    assert len(hidden(rows, gone(2000, 5000, OTHER)).whole()) == 1


def test_ports_in_use_are_counted_while_their_entries_are_there() -> None:
    rows = [(1000.0 + each, 5000 + each, 5000 + each, OTHER) for each in range(4)]
    changes = pd.concat([gone(1001.5, 5000, OTHER), gone(1002.5, 5001, OTHER)])
    found = hidden(masqueraded(rows), changes)
    assert most_at_once(found) == ("10.0.0.1", "10.1.0.1:80", 2)
    assert most_at_once(no_hidden_connections()) is None
    assert no_masquerades().empty


def predicted(*entries: tuple[int, int, int]) -> Prediction:
    """Entries by flow, begin and end, in seconds."""
    table = pd.DataFrame(entries, columns=["flow", "first_ns", "ends_ns"])
    table[["first_ns", "ends_ns"]] = BOOT_NS + table[["first_ns", "ends_ns"]] * NS
    table["cause"] = pd.Categorical([TIMER] * len(table), categories=CAUSES)
    return Prediction(director="node01", entries=table, steps=pd.DataFrame(), dropped_syns=0)


FLOWS = pd.DataFrame(
    {
        "protocol": ["TCP", "TCP"],
        "client_ip": [OTHER, CLIENT],
        "client_port": [5000, 5001],
        "vip": [VIP, VIP],
        "port": [PORT, PORT],
    }
)


@pytest.mark.parametrize(
    ("source", "ends_s", "cause"), [(6000, 1010, PORT_TAKEN), (6001, 1030, TIMER)]
)
def test_an_entry_ends_with_the_first_packet_of_the_next_that_has_its_port(
    source: int, ends_s: int, cause: str
) -> None:
    rows = masqueraded([(1000.2, 5000, 6000, OTHER), (1010.2, 5001, source, CLIENT)])
    connections = hidden(rows, gone(2000, 1, OTHER), FLOWS)
    found = with_evictions(predicted((0, 1000, 1030), (1, 1010, 1040)), connections).entries
    assert found["ends_ns"].tolist() == [BOOT_NS + ends_s * NS, BOOT_NS + 1040 * NS]
    assert found["cause"].tolist() == [cause, TIMER]


def test_an_entry_that_had_ended_before_the_next_has_its_port_is_left_alone() -> None:
    rows = masqueraded([(1000.2, 5000, 6000, OTHER), (1010.2, 5001, 6000, CLIENT)])
    connections = hidden(rows, gone(2000, 1, OTHER), FLOWS)
    before = predicted((0, 1000, 1009), (1, 1010, 1040))
    found = with_evictions(before, connections).entries
    assert np.array_equal(found["ends_ns"], before.entries["ends_ns"])


def test_a_masqueraded_connection_from_the_end_of_a_service_is_named(tmp_path: Path) -> None:
    node = Node(flows=[closed(40000, 1000.0)], until_s=1040, sysctl=dict(SYSCTL))
    recording = node.recorded(tmp_path / "run")
    row = masqueraded([(1000.2, 40000, PORT, CLIENT)]).assign(source_ip=VIP)
    (tmp_path / "run" / "masquerades").mkdir(exist_ok=True)
    row.to_parquet(tmp_path / "run" / "masquerades" / "part-00000.parquet")
    services = pd.DataFrame(
        {
            "at": row["at"],
            "director": "node01",
            "protocol": "TCP",
            "vip": VIP,
            "port": PORT,
            "scheduler": "netfilter",
            "real_server": "10.1.0.1",
            "real_port": 80,
            "forwarding": "nat",
            "weight": 1,
            "active": 1,
            "inactive": 0,
        }
    )
    (tmp_path / "run" / "services").mkdir(exist_ok=True)
    services.to_parquet(tmp_path / "run" / "services" / "part-00000.parquet")
    finding = collision(analyse(Recording.open(recording.path)))
    assert (finding.id, finding.severity) == ("node-port-collision", "warning")
    assert f"{CLIENT}:40000 as {VIP}:{PORT}" in finding.evidence


@pytest.mark.parametrize("kind", ["insert-failed", "sysctl-changed"])
@pytest.mark.parametrize("detail", [None, "", "a -> b", "99999999999999999999 -> 3"])
def test_an_event_without_sense_changes_nothing(
    tmp_path: Path, kind: str, detail: str | None
) -> None:
    events = [(1003.0, kind, detail)]
    node = Node(flows=[closed(40000, 1000.0)], until_s=1032, events=events)  # type: ignore[arg-type]
    found = node.played(tmp_path / "run")
    assert not COLLISIONS & {finding.id for finding in found.findings}
    assert found.agreement[0].entries_predicted == 1


def test_rows_of_hidden_connections_with_gaps_are_read_as_far_as_they_go() -> None:
    rows = masqueraded([(1000.0, 5000, 5000, OTHER), (1001.0, 5001, 6000, OTHER)])
    rows["real_server"] = pd.Series([None, "10.1.0.1"], dtype="string")
    rows["real_port"] = pd.Series([80, None], dtype="Int64")
    found = hidden(rows, gone(2000, 5000, OTHER))
    assert found.whole().sort_values("row")["moved"].tolist() == [False, True]
    assert most_at_once(found) is None  # before no server that is known
