"""The trace of a connection is what was sent, what the director made of it, and who keeps it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.states import Flag, State
from analyzer.report import to_json
from analyzer.traces.model import Leg
from tests.unit.analyzer.builders_packets import SERVER_MAC, Seg
from tests.unit.analyzer.builders_run import (
    Held,
    Life,
    Stage,
    closed,
    expires_at_s,
    half_open,
    opened,
)

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.traces.model import ConnectionTrace, Retention

ARRIVES = Leg(source="client", target="director", seen=True)
SENT_ON = Leg(source="director", target="server", seen=False)


def traces_of(tmp_path: Path, *lives: Life, forwarding: str = "dr") -> tuple[ConnectionTrace, ...]:
    stage = Stage(lives=lives, until_s=1030.0, forwarding=forwarding)
    return stage.played(tmp_path).traces


def by_port(traces: tuple[ConnectionTrace, ...], port: int) -> ConnectionTrace:
    (trace,) = (one for one in traces if one.client.endswith(f":{port}"))
    return trace


def retention(trace: ConnectionTrace, basis: str) -> Retention:
    (found,) = (one for one in trace.retentions if one.basis == basis)
    return found


def test_a_connection_is_traced_packet_by_packet(tmp_path: Path) -> None:
    (trace,) = traces_of(tmp_path, closed(40000, 1000.0))
    assert [packet.flag for packet in trace.packets] == ["SYN", "ACK", "FIN"]
    assert [packet.t_s for packet in trace.packets] == pytest.approx([1.0, 1.1, 1.4])
    assert all(packet.legs == (ARRIVES, SENT_ON) for packet in trace.packets)
    assert trace.real_server == "192.168.10.21:80"
    assert trace.directors == ("bal01",)


def test_the_bar_shows_each_state_from_packet_to_packet_and_to_the_entrys_end(
    tmp_path: Path,
) -> None:
    (trace,) = traces_of(tmp_path, closed(40000, 1000.0))
    assert [span.state for span in trace.predicted] == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"]
    assert [span.from_s for span in trace.predicted] == pytest.approx([1.0, 1.1, 1.4])
    assert [span.until_s for span in trace.predicted] == pytest.approx(
        [1.1, 1.4, expires_at_s(1000.4, 20) - 999]
    )
    assert [span.state for span in trace.observed] == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"]
    ends = [span.until_s for span in trace.observed]
    assert None not in ends


def test_predicted_and_seen_ends_of_the_entry_stand_beside_each_other(tmp_path: Path) -> None:
    (trace,) = traces_of(tmp_path, closed(40000, 1000.0))
    predicted, seen = retention(trace, "predicted"), retention(trace, "seen")
    assert predicted.until_s == pytest.approx(expires_at_s(1000.4, 20.0) - 999, abs=1e-3)
    assert seen.until_s == pytest.approx(predicted.until_s, abs=seen.margin_s + 0.01)
    assert seen.margin_s == pytest.approx(0.05)
    assert predicted.why.startswith("tcpfin 20 s")


def test_an_entry_that_outlives_the_watch_has_no_end(tmp_path: Path) -> None:
    (trace,) = traces_of(tmp_path, opened(40000, 1000.0))
    assert retention(trace, "seen").until_s is None
    assert trace.observed[-1].until_s is None
    assert retention(trace, "predicted").until_s == pytest.approx(expires_at_s(1000.1, 900.0) - 999)


def reply(at_s: float, port: int, flag: Flag, mac: int = SERVER_MAC) -> Seg:
    return Seg(at_s, port, flag, reply=True, mac=mac)


def test_in_dr_replies_go_by_the_director_and_the_closer_keeps_time_wait(tmp_path: Path) -> None:
    life = closed(40000, 1000.0)
    sent = (*life.sent, reply(1000.05, 40000, Flag.SYN), reply(1000.45, 40000, Flag.FIN))
    (trace,) = traces_of(tmp_path, replace(life, sent=sent))
    back = [packet for packet in trace.packets if not packet.to_vip]
    assert [packet.legs for packet in back] == [
        (Leg(source="server", target="client", seen=True),)
    ] * 2
    kept = retention(trace, "inferred")
    assert (kept.holder, kept.state) == ("client", "TIME_WAIT")
    assert kept.until_s == pytest.approx(1.45 + 60)


def test_in_nat_replies_pass_the_director_and_their_first_hop_is_inferred(tmp_path: Path) -> None:
    life = closed(40000, 1000.0)
    mac = life.sent[0].mac
    sent = (*life.sent, reply(1000.05, 40000, Flag.SYN, mac), reply(1000.2, 40000, Flag.ACK, mac))
    (trace,) = traces_of(tmp_path, replace(life, sent=sent), forwarding="nat")
    assert next(packet for packet in trace.packets if not packet.to_vip).legs == (
        Leg(source="server", target="director", seen=False),
        Leg(source="director", target="client", seen=True),
    )


def test_a_packet_that_finds_no_entry_goes_no_further(tmp_path: Path) -> None:
    life = closed(40000, 1000.0)
    late = replace(life, sent=(*life.sent, Seg(1025.0, 40000, Flag.ACK)))
    (trace,) = traces_of(tmp_path, late)
    assert trace.packets[-1].legs == (ARRIVES,)
    assert trace.packets[-1].dead_end == "no entry there: not sent on"
    assert all(packet.dead_end is None for packet in trace.packets[:-1])


def test_a_repeated_syn_is_said_to_be_one_and_offered_first(tmp_path: Path) -> None:
    slow = half_open(40005, 1000.0)
    again = replace(slow, sent=(*slow.sent, Seg(1001.0, 40005, Flag.SYN)))
    traces = traces_of(tmp_path, *(closed(40000 + i, 1000.0 + i) for i in range(4)), again)
    assert traces[0].client.endswith(":40005")
    assert traces[0].reasons[0] == "syn-repeated"
    assert "half-open" in traces[0].reasons
    assert [packet.again for packet in traces[0].packets] == [False, True]
    assert [packet.legs for packet in traces[0].packets] == [(ARRIVES,), (ARRIVES, SENT_ON)]
    assert traces[0].packets[0].dead_end == "no answer came"


def test_a_prediction_that_is_off_is_offered(tmp_path: Path) -> None:
    good, bad = closed(40000, 1000.0), closed(40001, 1000.2)
    early = replace(bad, held=replace(bad.held, gone_s=1012.0))
    trace = by_port(traces_of(tmp_path, good, early), 40001)
    assert "prediction-off" in trace.reasons


def test_a_reused_port_is_two_traces_each_with_its_own_entry(tmp_path: Path) -> None:
    sent = [(1000.0, Flag.SYN, 5), (1000.1, Flag.ACK, 6), (1000.2, Flag.RST, 6)]
    states = ((1000.0, State.SYN_RECV), (1000.1, State.ESTABLISHED), (1000.2, State.CLOSE))
    first = Life(
        tuple(Seg(at_s, 40000, flag, sequence=number) for at_s, flag, number in sent),
        Held(40000, states, 1003.0),
    )
    second = Life(
        (Seg(1003.0, 40000, Flag.SYN, sequence=9),),
        Held(40000, ((1003.0, State.SYN_RECV),), expires_at_s(1003.0, 60)),
    )
    traces = traces_of(tmp_path, first, second)
    assert len(traces) == 2
    assert all("port-reuse" in trace.reasons for trace in traces)
    spans = {trace.first_s: [span.state for span in trace.predicted] for trace in traces}
    assert spans == {
        1.0: ["SYN_RECV", "ESTABLISHED", "CLOSE"],
        4.0: ["SYN_RECV"],
    }


def test_a_connection_that_moved_is_traced_by_both_directors_and_drawn_by_the_last(
    tmp_path: Path,
) -> None:
    life = closed(40000, 1003.0)
    moved = tuple(replace(seg, mac=0x020000000012) for seg in life.sent)
    lost = Seg(1000.0, 40000, Flag.SYN)
    states = ((1000.0, State.SYN_RECV),)
    first = Life((lost, *moved), Held(40000, states, expires_at_s(1000.0, 60)))
    other = {"bal02": {"macs": ["02:00:00:00:00:12"]}}
    (trace,) = Stage(lives=[first], until_s=1030.0, others=other).played(tmp_path).traces
    assert trace.directors == ("bal01", "bal02")
    assert [span.state for span in trace.predicted] == ["SYN_RECV", "ESTABLISHED", "FIN_WAIT"]
    assert trace.predicted[0].from_s == pytest.approx(4.0)
    assert [packet.dead_end for packet in trace.packets] == ["no answer came", None, None, None]
    ends = {(one.name, one.state): one.until_s for one in trace.retentions if one.basis != "seen"}
    granule_s = 0.64  # nobody polled bal02: the phase of its timers is open
    assert ends["bal02", "FIN_WAIT"] == pytest.approx(
        expires_at_s(1003.4, 20.0) - 999, abs=granule_s
    )
    assert ends["bal01", "SYN_RECV"] == pytest.approx(expires_at_s(1000.0, 60.0) - 999)


def test_a_long_connection_is_traced_at_its_begin_and_its_end(tmp_path: Path) -> None:
    life = opened(40000, 1000.0)
    talk = tuple(Seg(1000.2 + 0.01 * i, 40000, Flag.ACK, sequence=i) for i in range(500))
    (trace,) = traces_of(tmp_path, replace(life, sent=(*life.sent, *talk)))
    assert trace.packets_in_all == 502
    assert len(trace.packets) == 48
    assert sum(packet.left_out for packet in trace.packets) == 502 - 48
    assert trace.packets[-1].t_s == pytest.approx(1.2 + 4.99)


def test_without_packets_nothing_is_traced(tmp_path: Path) -> None:
    assert traces_of(tmp_path) == ()


def test_traces_are_for_the_page_and_not_in_the_document(tmp_path: Path) -> None:
    analysis = Stage(lives=[closed(40000, 1000.0)], until_s=1003.0).played(tmp_path)
    assert analysis.traces
    assert "traces" not in to_json(analysis)
