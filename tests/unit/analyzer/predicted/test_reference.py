"""The fast replay and the slow, obvious one hold the same beliefs, whatever the packets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.states import Flag, State, Timeouts
from analyzer.predicted.replay import Beliefs, DirectorRules, Handling, handling, replay
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, rules, segments
from tests.unit.analyzer.predicted.reference import Belief, Packet, replay_slowly, timeouts_at
from tests.unit.properties import examples

SYN, FIN, ACK, RST, BARE, DATAGRAM = Flag


def both(
    rows: list[Seg], by: DirectorRules, handled: Handling | None = None
) -> tuple[Beliefs, list[Belief]]:
    """The beliefs of either replay, in the fast one's order: by flow, then time."""
    handled = handled or handling(len(rows))
    found = segments(rows)
    uptime_s = np.asarray((found.at_ns - BOOT_NS) / NS)
    fast = replay(found, uptime_s, by, handled)
    ordered = sorted(rows, key=lambda row: (row.flow_key, row.at_s))
    packets = [
        Packet(
            flow=int(found.flow[index]),
            uptime_s=float(uptime_s[index]),
            to_vip=not row.reply,
            flag=row.flag,
            repeated=repeated(row, ordered[index + 1 : index + 2]),
            lost=bool(handled.dropped[index]),
            unavailable=bool(handled.unavailable[index]),
            expire_nodest=bool(handled.expire_nodest[index]),
            no_server=bool(handled.no_server[index]),
        )
        for index, row in enumerate(ordered)
    ]
    in_time = sorted(range(len(packets)), key=lambda index: packets[index].uptime_s)
    slow: dict[int, Belief] = dict(
        zip(in_time, replay_slowly((packets[index] for index in in_time), by), strict=True)
    )
    return fast, [slow[index] for index in range(len(packets))]


def repeated(row: Seg, after: list[Seg]) -> bool:
    """Whether the flow's next packet is the same SYN again."""

    def is_syn(one: Seg) -> bool:
        return one.flag is SYN and not one.reply

    return is_syn(row) and any(
        is_syn(one) and (one.flow_key, one.sequence) == (row.flow_key, row.sequence)
        for one in after
    )


def assert_equal(rows: list[Seg], by: DirectorRules, handled: Handling | None = None) -> None:
    fast, slow = both(rows, by, handled)
    names: dict[int, int] = {}  # the two count entries in another order
    for index, expected in enumerate(slow):
        entry, state = int(fast.entry[index]), int(fast.state[index])
        assert (state == NO_ENTRY) is (expected.state is None), index
        assert (entry == NO_ENTRY) is (expected.entry is None), index
        assert bool(fast.reused[index]) is expected.reused, index
        assert bool(fast.dropped[index]) is expected.dropped, index
        if expected.entry is None or expected.expiry_uptime_s is None:
            assert np.isnan(fast.expiry_uptime_s[index])
            continue
        assert state == expected.state
        assert names.setdefault(entry, expected.entry) == expected.entry
        assert fast.expiry_uptime_s[index] == pytest.approx(expected.expiry_uptime_s, abs=1e-5)
    assert len(set(names.values())) == len(names)


def streams(flags: list[Flag]) -> st.SearchStrategy[list[Seg]]:
    """Packets of four ports over minutes, a tick and a half apart from any instant of expiry."""
    packet = st.builds(
        Seg,
        at_s=st.integers(0, 400_000).map(lambda ms: 500 + ms / 1000 + 0.0005),
        port=st.integers(1, 4),
        flag=st.sampled_from(flags),
        reply=st.sampled_from([False, False, True]),
        sequence=st.integers(0, 1),
    )
    return st.lists(packet, max_size=60, unique_by=lambda row: row.at_s)


seconds = st.integers(1, 200)
some_timeouts = st.builds(Timeouts, tcp_s=seconds, tcpfin_s=seconds, udp_s=seconds)
changes = st.lists(
    st.tuples(st.integers(400, 900), some_timeouts), max_size=3, unique_by=lambda row: row[0]
).map(lambda rows: tuple(sorted(rows, key=lambda row: row[0])))
any_rules = st.builds(
    rules,
    st.sampled_from(["dr", "nat"]),
    timeouts=some_timeouts,
    hz=st.sampled_from([None, 100, 250, 300, 1000]),
    phase_s=st.sampled_from([0.0, 0.1251]),
    mode=st.integers(0, 3),
    changes=changes,
    old_conntrack=st.booleans(),
    secure_tcp=st.booleans(),
)


@given(streams([SYN, SYN, ACK, FIN, RST, BARE]), any_rules)
@examples(300)
def test_tcp(rows: list[Seg], by: DirectorRules) -> None:
    assert_equal(rows, by)


@st.composite
def transfers(draw: st.DrawFn) -> list[Seg]:
    """A connection or two whose packets are mostly alike and close together, as of a download."""
    rows, at_ms = [], 0
    usual = draw(st.sampled_from([ACK, DATAGRAM]))
    for _ in range(draw(st.integers(1, 60))):
        at_ms += draw(st.sampled_from([1, 7, 500, 999, 2000, 30_000, 200_000]))
        rows.append(
            Seg(
                at_s=500 + at_ms / 1000 + 0.0005,
                port=draw(st.sampled_from([1, 1, 1, 2])),
                flag=draw(st.sampled_from([usual] * 8 + [SYN, FIN, RST])),
                reply=draw(st.booleans()),
                sequence=0,
            )
        )
    return [replace(rows[0], flag=draw(st.sampled_from([SYN, usual])), reply=False), *rows[1:]]


@given(transfers(), any_rules, st.data())
@examples(300)
def test_long_runs_of_packets_that_change_nothing(
    rows: list[Seg], by: DirectorRules, data: st.DataObject
) -> None:
    rare = st.lists(st.integers(0, len(rows) - 1), max_size=2)
    masks = {
        name: np.zeros(len(rows), dtype=bool) for name in ("dropped", "unavailable", "no_server")
    }
    for mask in masks.values():
        mask[data.draw(rare)] = True
    assert_equal(rows, by, handling(len(rows), **masks))


@given(streams([DATAGRAM, DATAGRAM, SYN, ACK]), any_rules)
def test_udp_beside_tcp_from_the_same_ports(rows: list[Seg], by: DirectorRules) -> None:
    assert_equal(rows, by)


@st.composite
def handled_streams(draw: st.DrawFn) -> tuple[list[Seg], Handling]:
    """Packets, some of them lost, some SYNs on entries of a server of weight 0, or with none."""
    rows = draw(streams([SYN, SYN, SYN, ACK, FIN, RST, DATAGRAM]))
    few = st.lists(
        st.sampled_from([False, False, True]), min_size=len(rows), max_size=len(rows)
    ).map(lambda flags: np.array(flags, dtype=bool))
    names = ("dropped", "unavailable", "expire_nodest", "no_server")
    return rows, handling(len(rows), **{name: draw(few) for name in names})


@given(handled_streams(), any_rules)
@examples(300)
def test_what_the_director_did_with_single_packets(
    stream: tuple[list[Seg], Handling], by: DirectorRules
) -> None:
    assert_equal(stream[0], by, stream[1])


def reuse(*again_s: float, sequence: int = 7) -> list[Seg]:
    """A reset connection, and its port's next SYN, repeated at these instants."""
    old = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, ACK), Seg(1000.2, 1, RST)]
    return old + [Seg(at_s, 1, SYN, sequence=sequence) for at_s in again_s]


@given(
    st.lists(st.integers(0, 30), max_size=5, unique=True),
    st.lists(st.sampled_from([ACK, FIN, RST]), max_size=3),
    any_rules,
)
@example([1, 2], [ACK, FIN], rules(old_conntrack=True))
@example([1, 2, 4], [], rules(old_conntrack=True))
def test_a_syn_that_is_repeated_over_an_old_entry(
    again: list[int], after: list[Flag], by: DirectorRules
) -> None:
    rows = reuse(*(1001.0 + gap for gap in sorted(again)))
    rows += [Seg(1040.0 + index, 1, flag) for index, flag in enumerate(after)]
    assert_equal(rows, by)


# What either is held to, by hand ------------------------------------------------------------------


def test_an_old_conntrack_entry_costs_the_first_syn_and_the_second_makes_the_entry() -> None:
    fast, _ = both(reuse(1001.0, 1002.0), rules(old_conntrack=True))
    assert fast.dropped.tolist() == [False, False, False, True, False]
    assert fast.reused.tolist() == [False, False, False, True, False]
    assert fast.entry.tolist() == [0, 0, 0, NO_ENTRY, 1]
    assert fast.state[-1] == State.SYN_RECV


def test_a_syn_that_was_not_repeated_was_not_dropped() -> None:
    """It is known by its repetition: a SYN that nobody sent again must have been answered."""
    fast, _ = both(reuse(1001.0), rules(old_conntrack=True))
    assert not fast.dropped.any()
    assert fast.entry[-1] == 1
    other = both([*reuse(1001.0), *reuse(1002.0, sequence=8)[3:]], rules(old_conntrack=True))[0]
    assert not other.dropped.any()


def test_under_secure_tcp_a_half_open_dr_entry_is_synack_with_120_s() -> None:
    fast, _ = both([Seg(1000.0, 1, SYN)], rules(secure_tcp=True))
    assert fast.state.tolist() == [State.SYNACK]
    assert fast.timeout_s.tolist() == [120]


def test_under_secure_tcp_nat_is_half_open_until_the_servers_syn_ack() -> None:
    rows = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, SYN, reply=True), Seg(1000.2, 1, ACK)]
    fast, _ = both(rows, rules("nat", secure_tcp=True))
    assert fast.state.tolist() == [State.SYN_RECV, State.SYNACK, State.SYNACK]


def test_a_change_of_timeouts_holds_from_an_entrys_next_packet_on() -> None:
    """Tcpfin 60, then 10: what was closed before keeps 60, what is closed after has 10."""
    closed = [
        Seg(at_s, port, flag)
        for port, began_s in ((1, 1000.0), (2, 1010.0))
        for at_s, flag in ((began_s, SYN), (began_s + 0.1, ACK), (began_s + 0.2, FIN))
    ]
    rows = [
        *closed,
        Seg(1020.0, 3, SYN),
        Seg(1020.1, 3, ACK),
        Seg(1020.2, 3, FIN),
        Seg(1021.0, 1, ACK),
    ]  # the first one's last ACK comes after all
    by = rules(timeouts=Timeouts(tcpfin_s=60), changes=((1015.0, Timeouts(tcpfin_s=10)),))
    fast, _ = both(rows, by)
    last = dict(zip([1, 2, 3], [3, 6, 9], strict=True))
    assert {port: fast.timeout_s[row] for port, row in last.items()} == {1: 10, 2: 60, 3: 10}
    assert fast.expiry_uptime_s[last[2]] == pytest.approx(1070.2)


def test_a_change_holds_at_the_very_instant_it_was_made() -> None:
    by = rules(changes=((1000.0, Timeouts(udp_s=7)),))
    fast, _ = both([Seg(1000.0, 1, DATAGRAM)], by)
    assert fast.timeout_s.tolist() == [7]
    assert timeouts_at(by, 999.9).udp_s == 300
    assert timeouts_at(by, 1000.0).udp_s == 7


def test_datagrams_of_either_direction_keep_a_udp_entry_and_only_the_clients_make_one() -> None:
    rows = [
        Seg(1000.0, 1, DATAGRAM, reply=True),
        Seg(1001.0, 1, DATAGRAM),
        Seg(1200.0, 1, DATAGRAM, reply=True),
        Seg(1400.0, 1, DATAGRAM),
        Seg(1701.0, 1, DATAGRAM),
    ]
    fast, _ = both(rows, rules("nat"))
    assert fast.entry.tolist() == [NO_ENTRY, 0, 0, 0, 1]
    assert set(fast.timeout_s[1:]) == {300}


def test_what_the_director_dropped_leaves_state_and_timer_as_they_were() -> None:
    rows = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, ACK), Seg(1001.0, 1, FIN), Seg(1002.0, 1, SYN)]
    found = segments(rows)
    fast = replay(
        found,
        np.asarray((found.at_ns - BOOT_NS) / NS),
        rules(),
        handling(4, dropped=np.array([False, False, True, True])),
    )
    assert fast.state.tolist() == [State.SYN_RECV] + [State.ESTABLISHED] * 3
    assert fast.expiry_uptime_s[1:].tolist() == [pytest.approx(1900.1)] * 3
    assert fast.dropped.tolist() == [False, False, True, True]
    assert fast.entry.tolist() == [0, 0, 0, 0]


STATES = {
    "SYN_RECV": [SYN],
    "ESTABLISHED": [SYN, ACK],
    "FIN_WAIT": [SYN, ACK, FIN],
    "CLOSE": [SYN, ACK, RST],
}


@pytest.mark.parametrize("mode", [0, 1, 2])
@pytest.mark.parametrize("state", STATES)
def test_a_syn_to_an_entry_of_a_server_of_weight_0_makes_a_new_one_whatever_its_state(
    state: str, mode: int
) -> None:
    rows = [Seg(1000.0 + step, 1, flag) for step, flag in enumerate([*STATES[state], SYN, ACK])]
    last_syn = np.arange(len(rows)) == len(rows) - 2
    fast, _ = both(rows, rules(mode=mode), handling(len(rows), expire_nodest=last_syn))
    assert State(fast.state[-3]).name == state
    assert fast.entry.tolist() == [0] * (len(rows) - 2) + [1, 1]
    assert fast.reused.tolist() == last_syn.tolist()
    alone = handling(len(rows), expire_nodest=last_syn, no_server=last_syn)
    fast, _ = both(rows, rules(mode=mode), alone)
    assert fast.entry.tolist() == [0] * (len(rows) - 2) + [NO_ENTRY, NO_ENTRY]


def test_where_no_server_has_a_weight_an_entry_that_is_there_goes_on() -> None:
    rows = [Seg(1000.0, 1, SYN), Seg(1000.1, 1, SYN), Seg(1000.2, 2, SYN), Seg(1000.3, 3, DATAGRAM)]
    fast, _ = both(rows, rules(), handling(4, no_server=np.array([False, True, True, True])))
    assert fast.entry.tolist() == [0, 0, NO_ENTRY, NO_ENTRY]


def test_a_syn_that_was_dropped_makes_no_entry() -> None:
    found = segments([Seg(1000.0, 1, SYN), Seg(1001.0, 1, SYN)])
    uptime_s = np.asarray((found.at_ns - BOOT_NS) / NS)
    fast = replay(found, uptime_s, rules(), handling(2, dropped=np.array([True, False])))
    assert fast.entry.tolist() == [NO_ENTRY, 0]
