"""From packets to the entries that a director must hold, and to their curves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analyzer.ipvs.states import Flag, State, Timeouts, is_active
from analyzer.predicted.curves import predicted_curve
from analyzer.predicted.entries import (
    DROP_ENTRY,
    EXPIRE_NODEST,
    PORT_REUSE,
    TIMER,
    Prediction,
    at_instants,
    ended_at,
    predict,
    state_name,
)
from analyzer.predicted.replay import handling
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, clock, rules, segments

SYN, FIN, ACK, RST = Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST


TCPFIN_20 = Timeouts(tcpfin_s=20)


def closed(port: int, began_s: float) -> list[Seg]:
    """A connection as curl makes it: 0.4 s open, the client closes."""
    at_s = {SYN: 0.0, ACK: 0.1, FIN: 0.4}
    return [Seg(began_s + after, port, flag) for flag, after in at_s.items()]


def predicted(rows: list[Seg], forwarding: str = "dr", **more: Any) -> Prediction:
    return predict(segments(rows), clock(), rules(forwarding, timeouts=TCPFIN_20, **more), "bal01")


def seconds(at_ns: np.ndarray) -> list[float]:
    return [round(float(at) / NS, 6) for at in at_ns - BOOT_NS]


def curve(found: Prediction, chosen: list[int]) -> list[tuple[float, int, int]]:
    is_chosen = np.isin(np.arange(len(found.entries)), chosen)
    at_ns, active, inactive = predicted_curve(found, is_chosen, is_active(None))
    return list(zip(seconds(at_ns), active.tolist(), inactive.tolist(), strict=True))


def test_an_entry_is_predicted_from_its_packets() -> None:
    found = predicted(closed(1, 1000.0))
    (row,) = found.entries.to_dict("records")
    assert row["flow"] == 0
    assert row["state"] == State.FIN_WAIT
    assert row["timeout_s"] == 20
    assert row["cause"] == TIMER
    ends = (found.entries["first_ns"], found.entries["last_ns"], found.entries["ends_ns"])
    assert [seconds(one.to_numpy()) for one in ends] == [[1000.0], [1000.4], [1020.4]]


def test_it_is_active_until_the_fin_and_inactive_until_it_goes() -> None:
    assert curve(predicted(closed(1, 1000.0)), [0]) == [
        (1000.0, 1, 0),
        (1000.4, 0, 1),
        (1020.4, 0, 0),
    ]


def test_the_curve_of_several_entries_is_their_sum() -> None:
    found = predicted(closed(1, 1000.0) + closed(2, 1000.0) + closed(3, 1000.25))
    by_time = {at_s: (active, inactive) for at_s, active, inactive in curve(found, [0, 1, 2])}
    assert by_time[1000.0] == (2, 0)
    assert by_time[1000.25] == (3, 0)
    assert by_time[1000.4] == (1, 2)
    assert by_time[1000.65] == (0, 3)
    assert by_time[1020.4] == (0, 1)
    assert by_time[1020.65] == (0, 0)


def test_the_curve_of_some_entries_leaves_the_others_out() -> None:
    found = predicted(closed(1, 1000.0) + closed(2, 1001.0))
    assert curve(found, [1])[0] == (1001.0, 1, 0)
    assert curve(found, [1])[-1] == (1021.4, 0, 0)
    assert curve(found, []) == []


def test_a_reset_entry_goes_as_inactive_and_a_half_open_one_as_active() -> None:
    found = predicted([Seg(1000.0, 1, SYN), Seg(1000.0, 2, SYN), Seg(1001.0, 2, RST)])
    assert curve(found, [0]) == [(1000.0, 1, 0), (1060.0, 0, 0)]
    reset = predicted([Seg(1000.0, 2, SYN), Seg(1000.5, 2, ACK), Seg(1001.0, 2, RST)])
    assert curve(reset, [0])[-2:] == [(1001.0, 0, 1), (1011.0, 0, 0)]


def test_a_port_used_again_ends_the_old_entry_where_the_new_one_begins() -> None:
    rows = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, ACK), Seg(1000.2, 1, RST), *closed(1, 1003.0)]
    found = predicted(rows)
    assert found.entries["cause"].tolist() == [PORT_REUSE, TIMER]
    assert seconds(found.entries["ends_ns"].to_numpy()) == [1003.0, 1023.4]
    totals = [active + inactive for _, active, inactive in curve(found, [0, 1])]
    assert max(totals) == 1


def test_a_reuse_ends_the_entry_of_its_own_flow_only() -> None:
    """The flow after it in the table begins with a reuse of nothing."""
    rows = [*closed(1, 1000.0), Seg(1002.0, 2, SYN), Seg(1002.1, 2, RST), Seg(1002.2, 2, SYN)]
    assert predicted(rows).entries["cause"].tolist() == [TIMER, TIMER]


def test_in_nat_the_replies_count_too() -> None:
    rows = [*closed(1, 1000.0), Seg(1000.45, 1, FIN, reply=True)]
    found = predicted(rows, "nat")
    assert found.entries["state"].tolist() == [State.TIME_WAIT]
    assert found.entries["timeout_s"].tolist() == [120]


def test_packets_that_were_dropped_change_nothing() -> None:
    """The real server was removed at 1000.3: the FIN and its repetition reached nobody."""
    rows = [*closed(1, 1000.0), Seg(1000.6, 1, FIN)]
    lost = handling(4, dropped=np.array([False, False, True, True]))
    found = predict(segments(rows), clock(), rules(), "bal01", lost)
    (row,) = found.entries.to_dict("records")
    assert row["state"] == State.ESTABLISHED
    assert seconds(np.array([row["last_ns"], row["ends_ns"]])) == [1000.1, 1900.1]
    assert len(found.steps) == 2


def test_a_port_used_again_after_a_packet_that_was_dropped_ends_the_entry() -> None:
    flags = (SYN, ACK, RST, ACK, SYN)
    rows = [Seg(1000.0 + 0.5 * step, 1, flag) for step, flag in enumerate(flags)]
    lost = handling(5, dropped=np.array([False, False, False, True, False]))
    found = predict(segments(rows), clock(), rules(), "bal01", lost)
    assert found.entries["cause"].tolist() == [PORT_REUSE, TIMER]
    assert seconds(found.entries["ends_ns"].to_numpy())[0] == 1002.0


def test_a_syn_to_an_entry_of_a_server_of_weight_0_ends_it_for_want_of_a_destination() -> None:
    rows = [*closed(1, 1000.0), Seg(1002.0, 1, SYN)]
    last = np.array([False, False, False, True])
    found = predict(segments(rows), clock(), rules(), "bal01", handling(4, expire_nodest=last))
    assert found.entries["cause"].tolist() == [EXPIRE_NODEST, TIMER]
    assert seconds(found.entries["ends_ns"].to_numpy())[0] == 1002.0
    alone = handling(4, expire_nodest=last, no_server=last)
    found = predict(segments(rows), clock(), rules(), "bal01", alone)
    assert found.entries["cause"].tolist() == [EXPIRE_NODEST]


def test_a_syn_dropped_for_an_old_conntrack_entry_is_counted() -> None:
    old = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, ACK), Seg(1000.2, 1, RST)]
    again = [Seg(1001.0, 1, SYN, sequence=7), Seg(1002.0, 1, SYN, sequence=7)]
    found = predicted([*old, *again], old_conntrack=True)
    assert found.dropped_syns == 1
    assert found.entries["cause"].tolist() == [PORT_REUSE, TIMER]
    assert seconds(found.entries["ends_ns"].to_numpy())[0] == 1001.0
    assert seconds(found.entries["first_ns"].to_numpy()) == [1000.0, 1002.0]
    assert predicted([*old, *again]).dropped_syns == 0


def test_an_end_that_was_earlier_takes_the_place_of_the_timers() -> None:
    found = predicted(closed(1, 1000.0) + closed(2, 1001.0))
    first_ends = at_instants(np.array([0]), np.array([BOOT_NS + 1005 * NS]))
    ended = ended_at(found, first_ends, DROP_ENTRY)
    assert ended.entries["cause"].tolist() == [DROP_ENTRY, TIMER]
    assert seconds(ended.entries["ends_ns"].to_numpy()) == [1005.0, 1021.4]
    assert found.entries["cause"].tolist() == [TIMER, TIMER]  # the old one is as it was
    assert curve(ended, [0])[-1] == (1005.0, 0, 0)


def test_a_datagram_makes_an_inactive_entry() -> None:
    found = predicted([Seg(1000.0, 53, Flag.DATAGRAM), Seg(1007.0, 53, Flag.DATAGRAM)])
    assert found.entries["state"].tolist() == [State.UDP]
    assert curve(found, [0]) == [(1000.0, 0, 1), (1307.0, 0, 0)]


def test_no_packets_predict_nothing() -> None:
    found = predicted([])
    assert len(found.entries) == len(found.steps) == 0
    assert curve(found, []) == []


@pytest.mark.parametrize("offset_s", [-3.0, 0.0, 0.007, 5.0])
def test_the_directors_clock_moves_the_wheel_and_not_the_packets(offset_s: float) -> None:
    """The same packets: a director booted ``offset_s`` later has its steps that much later."""
    moved = clock(BOOT_NS + round(offset_s * NS))
    by = rules(timeouts=TCPFIN_20, hz=100, phase_s=0.0)
    found = predict(segments(closed(1, 1000.0)), moved, by, "bal01")
    ends_s = seconds(found.entries["ends_ns"].to_numpy())[0]
    assert 0 < ends_s - 1020.4 <= 0.64
    steps = (ends_s - offset_s - 300) / 0.64
    assert steps == pytest.approx(round(steps), abs=1e-4)


def test_a_state_number_has_the_kernels_name() -> None:
    assert state_name(4) == "FIN_WAIT"
