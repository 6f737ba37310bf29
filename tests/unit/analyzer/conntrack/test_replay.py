"""The fast replay and the slow, obvious one hold the same beliefs, whatever the packets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.conntrack.replay import ConntrackRules, Packets, Tracked, replay
from analyzer.conntrack.settings import DEFAULTS_S, FIXED, SYSCTLS, ConntrackSettings, with_change
from analyzer.conntrack.states import CtState, Kind
from analyzer.conntrack.versions import law_of
from analyzer.conntrack.windows import BEYOND, LATE, WITHIN
from analyzer.ipvs.flow_steps import NO_ENTRY
from tests.unit.analyzer.conntrack.reference import CUT_OFF, WORD, Belief, Conntrack, Packet
from tests.unit.properties import examples

TCP_KINDS: list[Kind] = [kind for kind in Kind if kind is not Kind.DATAGRAM]
LINUX_6_1 = "6.1.0-56-amd64"


def rules(kernel: str = LINUX_6_1, hz: int | None = None, **settings: object) -> ConntrackRules:
    """A director's; ``settings`` are sysctls without nf_conntrack_, or fields."""
    timeouts = {name: settings.pop(name.removeprefix("nf_conntrack_"), value)
                for name, value in DEFAULTS_S.items()}  # fmt: skip
    made = ConntrackSettings(timeouts_s=timeouts, **settings)  # type: ignore[arg-type]
    return ConntrackRules(
        settings=made, law=law_of(kernel), hz=hz, phase_s=None if hz is None else 0.0
    )


def arrays(packets: list[Packet]) -> Packets:
    """Packets by flow, then time."""
    rows = sorted(packets, key=lambda packet: (packet.flow, packet.uptime_s))

    def column(name: str, kind: type) -> np.ndarray:
        return np.array([getattr(row, name) for row in rows], dtype=kind)

    return Packets(
        flow=column("flow", np.int64),
        uptime_s=column("uptime_s", np.float64),
        original=column("direction", np.int64) == 0,
        kind=column("kind", np.int8),
        sequence=column("sequence", np.int64),
        acknowledgement=column("acknowledgement", np.int64),
        has_ack=column("has_ack", bool),
        payload_bytes=column("payload_bytes", np.int64),
        window=column("window", np.int64),
        window_scale=column("window_scale", np.int8),
        lost=column("lost", bool),
    )


def both(packets: list[Packet], by: ConntrackRules) -> tuple[Tracked, list[Belief]]:
    """The beliefs of either replay, in the fast one's order."""
    in_time = sorted(packets, key=lambda packet: packet.uptime_s)
    slow = dict(zip(map(id, in_time), Conntrack(by).replay(in_time), strict=True))
    rows = sorted(packets, key=lambda packet: (packet.flow, packet.uptime_s))
    return replay(arrays(packets), by), [slow[id(row)] for row in rows]


def assert_equal(packets: list[Packet], by: ConntrackRules) -> None:
    fast, slow = both(packets, by)
    names: dict[int, int] = {}  # the two count entries in another order
    for row, expected in enumerate(slow):
        entry = int(fast.entry[row])
        assert bool(fast.reused[row]) is expected.reused, row
        assert bool(fast.counted[row]) is expected.counted, row
        assert bool(fast.killed[row]) is expected.killed, row
        assert fast.outside[row] == expected.outside, row
        assert (entry == NO_ENTRY) is (expected.entry is None), row
        if expected.entry is None or expected.expires_s is None:
            assert fast.state[row] == NO_ENTRY
            assert np.isnan(fast.expiry_uptime_s[row])
            continue
        assert fast.state[row] == expected.state, row
        assert bool(fast.assured[row]) is expected.assured, row
        assert fast.timeout_s[row] == expected.timeout_s, row
        if not expected.killed:
            assert sysctl_of(fast, row) == expected.sysctl, row
        assert names.setdefault(entry, expected.entry) == expected.entry
        assert fast.expiry_uptime_s[row] == pytest.approx(expected.expires_s, abs=1e-5)
    assert len(set(names.values())) == len(names)


def sysctl_of(found: Tracked, row: int) -> str | None:
    """The sysctl that an entry waits for after a packet; None of SYN_SENT2."""
    return None if found.sysctl[row] == FIXED else SYSCTLS[found.sysctl[row]]


def streams(kinds: list[Kind], span_ms: int) -> st.SearchStrategy[list[Packet]]:
    """Packets of three flows, of few numbers, so that many acknowledge or repeat another."""
    numbers = st.sampled_from([0, 1, 2, 3, 100, 101, WORD - 1])
    packet = st.builds(
        Packet,
        flow=st.integers(0, 2),
        uptime_s=st.integers(0, span_ms).map(lambda ms: 500 + ms / 1000 + 0.0005),
        direction=st.integers(0, 1),
        kind=st.sampled_from(kinds),
        sequence=numbers,
        acknowledgement=numbers,
        has_ack=st.booleans(),
        payload_bytes=st.sampled_from([0, 0, 1, 99]),
        window=st.sampled_from([0, 2, 8192, 8192]),
        window_scale=st.sampled_from([-3, -2, -1, 0, 3, 14]),
        lost=st.sampled_from([False] * 9 + [True]),
    )
    return st.lists(packet, max_size=40, unique_by=lambda one: one.uptime_s).map(
        lambda rows: [as_sent(row) for row in rows]
    )


def as_sent(packet: Packet) -> Packet:
    """With the flag ACK that its kind has; of a reset it may be either."""
    has_ack = {Kind.SYN: False, Kind.RST: packet.has_ack, Kind.NONE: False}
    fields = {name: getattr(packet, name) for name in Packet.__slots__}
    return Packet(**fields | {"has_ack": has_ack.get(packet.kind, True)})


@st.composite
def conversations(draw: st.DrawFn) -> list[Packet]:
    """Handshakes and what may follow them, so that most packets meet an entry."""
    rows: list[Packet] = []
    at_s = 500.0005  # an instant that is no jiffy's
    for _ in range(draw(st.integers(1, 3))):
        shake = [(0, Kind.SYN, 0, 0), (1, Kind.SYNACK, 100, 1), (0, Kind.ACK, 1, 101)]
        for direction, kind, sequence, acknowledgement in shake[: draw(st.integers(1, 3))]:
            at_s += 0.01
            rows.append(
                Packet(
                    flow=0,
                    uptime_s=at_s,
                    direction=direction,
                    kind=kind,
                    sequence=sequence,
                    acknowledgement=acknowledgement,
                )
            )
        for more in draw(streams(TCP_KINDS, 200_000)):
            at_s += draw(st.sampled_from([0.01, 0.01, 5.0, 59.0, 121.0]))
            fields = {name: getattr(more, name) for name in Packet.__slots__}
            rows.append(Packet(**fields | {"flow": 0, "uptime_s": at_s}))
    return [as_sent(row) for row in rows]


seconds = st.sampled_from([1.0, 10.0, 60.0, 120.0, 300.0, 3600.0])
any_rules = st.builds(
    rules,
    st.sampled_from(["4.19.0", "5.10.0", "5.10.170", "6.1.0", "7.2"]),
    hz=st.sampled_from([None, 100, 250, 1000]),
    loose=st.booleans(),
    liberal=st.booleans(),
    max_retrans=st.integers(0, 3),
    tcp_timeout_established=seconds,
    tcp_timeout_close_wait=seconds,
    tcp_timeout_time_wait=seconds,
    tcp_timeout_max_retrans=seconds,
    tcp_timeout_unacknowledged=seconds,
    udp_timeout_stream=seconds,
)


some_changes = st.lists(
    st.tuples(st.integers(490, 900), st.sampled_from(sorted(DEFAULTS_S)), st.integers(1, 500)),
    max_size=3,
    unique_by=lambda row: row[0],
)


@given(conversations(), any_rules, some_changes)
def test_sysctls_that_change_meanwhile(
    packets: list[Packet], by: ConntrackRules, changes: list[tuple[int, str, int]]
) -> None:
    assert_equal(packets, changed(by, *changes))


def changed(by: ConntrackRules, *changes: tuple[float, str, int]) -> ConntrackRules:
    """The rules, with sysctls that were set at instants of the uptime."""
    later, settings = [], by.settings
    for since_s, name, value in sorted(changes):
        settings = with_change(settings, name, value)
        later.append((float(since_s), settings))
    return replace(by, changes=tuple(later))


@given(streams(TCP_KINDS, 400_000), any_rules)
def test_tcp(packets: list[Packet], by: ConntrackRules) -> None:
    assert_equal(packets, by)


@given(conversations(), any_rules)
@examples(200)
def test_tcp_after_a_handshake(packets: list[Packet], by: ConntrackRules) -> None:
    assert_equal(packets, by)


@given(streams([Kind.DATAGRAM], 400_000), any_rules)
def test_udp(packets: list[Packet], by: ConntrackRules) -> None:
    assert_equal(packets, by)


@given(conversations(), any_rules)
def test_what_does_not_count_leaves_state_and_expiry_as_they_were(
    packets: list[Packet], by: ConntrackRules
) -> None:
    found = replay(arrays(packets), by)
    for row in range(1, len(packets)):
        same = found.entry[row] == found.entry[row - 1] != NO_ENTRY
        if same and not found.counted[row]:
            # a server's SYN in SYN_SENT moves the state, and restarts nothing
            assert found.state[row] in (found.state[row - 1], CtState.SYN_SENT2)
            assert found.expiry_uptime_s[row] == found.expiry_uptime_s[row - 1]


@given(conversations(), any_rules)
def test_no_entry_waits_longer_than_its_states_timeout(
    packets: list[Packet], by: ConntrackRules
) -> None:
    found = replay(arrays(packets), by)
    own_s = by.settings.timeout_by_state_s()
    close_s = by.settings.timeouts_s["nf_conntrack_tcp_timeout_close"]
    there = found.entry != NO_ENTRY
    longest_s = np.maximum(own_s[found.state[there]], close_s)
    assert (found.timeout_s[there] <= longest_s).all()


# What either is held to, by hand ------------------------------------------------------------------


def seg(
    at_s: float,
    direction: int,
    kind: Kind,
    sequence: int = 0,
    ack: int | None = None,
    size: int = 0,
) -> Packet:
    return Packet(
        flow=1,
        uptime_s=1000 + at_s,
        direction=direction,
        kind=kind,
        sequence=sequence,
        acknowledgement=ack or 0,
        has_ack=ack is not None,
        payload_bytes=size,
    )


CLIENT, SERVER = 0, 1
SHAKE = [
    seg(0.0, CLIENT, Kind.SYN, 99),
    seg(0.1, SERVER, Kind.SYNACK, 899, 100),
    seg(0.2, CLIENT, Kind.ACK, 100, 900),
]
ASKED = [
    *SHAKE,
    seg(0.3, CLIENT, Kind.ACK, 100, 900, size=50),
    seg(0.4, SERVER, Kind.ACK, 900, 150, size=200),
    seg(0.5, CLIENT, Kind.ACK, 150, 1100),
]
CLOSED = [
    *ASKED,
    seg(0.6, CLIENT, Kind.FIN, 150, 1100),
    seg(0.7, SERVER, Kind.FIN, 1100, 151),
    seg(0.8, CLIENT, Kind.ACK, 151, 1101),
]


def states(packets: list[Packet], by: ConntrackRules | None = None) -> list[str]:
    """The state after each packet, which both replays must agree on; "" of none."""
    by = by or rules()
    assert_equal(packets, by)
    found = replay(arrays(packets), by)
    return ["" if state == NO_ENTRY else CtState(state).name for state in found.state]


def waits_s(packets: list[Packet], by: ConntrackRules | None = None) -> float:
    """What the entry waits after the last packet."""
    by = by or rules()
    assert_equal(packets, by)
    return float(replay(arrays(packets), by).timeout_s[-1])


def test_a_connection_that_both_close_ends_in_time_wait_120_s() -> None:
    assert states(CLOSED)[-3:] == ["FIN_WAIT", "LAST_ACK", "TIME_WAIT"]
    assert waits_s(CLOSED) == 120
    assert states(CLOSED)[:3] == ["SYN_SENT", "SYN_RECV", "ESTABLISHED"]


def test_a_half_closed_one_waits_close_wait_which_kube_proxy_sets_to_an_hour() -> None:
    half = [*CLOSED[:7], seg(0.7, SERVER, Kind.ACK, 1100, 151)]
    assert states(half)[-1] == "CLOSE_WAIT"
    assert waits_s(half) == 60
    assert waits_s(half, rules(tcp_timeout_close_wait=3600.0)) == 3600


def test_open_and_idle_waits_five_days_and_less_while_data_is_not_acknowledged() -> None:
    assert waits_s(ASKED) == 432_000
    assert waits_s(ASKED[:5]) == 300
    assert waits_s(ASKED[:5], rules(tcp_timeout_unacknowledged=77.0)) == 77


def test_three_retransmissions_wait_max_retrans() -> None:
    by = rules(tcp_timeout_max_retrans=55.0, tcp_timeout_unacknowledged=500_000.0)
    again = [seg(2.0 + n, SERVER, Kind.ACK, 900, 150, size=200) for n in range(3)]
    assert waits_s([*ASKED[:5], *again[:2]], by) == 432_000
    assert waits_s([*ASKED[:5], *again], by) == 55


def test_a_syn_that_nobody_answers_is_not_renewed_since_5_14() -> None:
    rows = [seg(at_s, CLIENT, Kind.SYN, 99) for at_s in (0.0, 1.0, 3.0, 7.0)]
    found = replay(arrays(rows), rules())
    assert found.expiry_uptime_s.tolist() == [1120.0] * 4
    assert found.counted.tolist() == [True, False, False, False]
    assert replay(arrays(rows), rules("5.10.100")).expiry_uptime_s[-1] == 1127.0
    assert replay(arrays(rows), rules("5.10.167")).expiry_uptime_s[-1] == 1120.0


def test_a_reset_that_is_the_only_answer_deletes_the_entry() -> None:
    rows = [SHAKE[0], seg(0.1, SERVER, Kind.RST, 0, 100), seg(0.2, CLIENT, Kind.SYN, 99)]
    found, _ = both(rows, rules())
    assert found.killed.tolist() == [False, True, False]
    assert found.entry.tolist() == [0, 0, 1]
    assert states(rows) == ["SYN_SENT", "CLOSE", "SYN_SENT"]


def test_an_exact_reset_closes_and_another_only_shortens_the_timeout() -> None:
    exact, other = (seg(1.0, CLIENT, Kind.RST, sequence) for sequence in (150, 160))
    assert states([*ASKED, exact])[-1] == "CLOSE"
    assert states([*ASKED, other])[-1] == "ESTABLISHED"
    assert waits_s([*ASKED, exact]) == waits_s([*ASKED, other]) == 10
    challenge = seg(1.1, SERVER, Kind.ACK, 1100, 150)
    assert waits_s([*ASKED, other, challenge]) == 300  # what the reset "sent" is not acknowledged


def test_a_reset_of_what_was_acknowledged_already_changes_nothing() -> None:
    found, _ = both([*ASKED, seg(1.0, CLIENT, Kind.RST, 140)], rules())
    assert not found.counted[-1]
    assert found.timeout_s[-1] == 432_000


def test_a_syn_in_time_wait_makes_a_new_entry() -> None:
    found, _ = both([*CLOSED, seg(5.0, CLIENT, Kind.SYN, 5000)], rules())
    assert found.entry[-2:].tolist() == [0, 1]
    assert found.reused[-1]
    assert states([*CLOSED, seg(5.0, CLIENT, Kind.SYN, 5000)])[-1] == "SYN_SENT"


def test_after_the_servers_reset_a_syn_is_ignored_until_the_server_accepts_it() -> None:
    """The same entry goes on, to the same real server."""
    rows = [
        *ASKED,
        seg(1.0, SERVER, Kind.RST, 1100, 150),
        seg(5.0, CLIENT, Kind.SYN, 5000),
        seg(5.1, SERVER, Kind.SYNACK, 7000, 5001),
        seg(5.2, CLIENT, Kind.ACK, 5001, 7001),
    ]
    assert states(rows)[-4:] == ["CLOSE", "CLOSE", "SYN_RECV", "ESTABLISHED"]
    found, _ = both(rows, rules())
    assert set(found.entry.tolist()) == {0}
    assert found.counted[-4:].tolist() == [True, False, True, True]


def test_after_the_clients_own_reset_its_syn_makes_a_new_entry() -> None:
    rows = [*ASKED, seg(1.0, CLIENT, Kind.RST, 150), seg(5.0, CLIENT, Kind.SYN, 5000)]
    assert both(rows, rules())[0].entry[-2:].tolist() == [0, 1]


def test_a_syn_in_an_open_connection_is_ignored_and_the_challenge_ack_restarts_its_timeout() -> (
    None
):
    rows = [*ASKED, seg(9.0, CLIENT, Kind.SYN, 5000), seg(9.1, SERVER, Kind.ACK, 1100, 150)]
    assert states(rows)[-2:] == ["ESTABLISHED", "ESTABLISHED"]
    assert both(rows, rules())[0].counted[-2:].tolist() == [False, True]


def test_in_last_ack_the_answer_to_a_syn_is_not_the_last_ack() -> None:
    rows = [*CLOSED[:8], seg(1.0, CLIENT, Kind.SYN, 5000), seg(1.1, SERVER, Kind.ACK, 1101, 151)]
    assert states(rows)[-2:] == ["LAST_ACK", "LAST_ACK"]


def test_loose_picks_up_a_connection_and_believes_it_once_it_was_answered() -> None:
    picked = [seg(0.0, CLIENT, Kind.ACK, 100, 900), seg(0.1, SERVER, Kind.ACK, 900, 100)]
    more = [*picked, seg(0.2, CLIENT, Kind.ACK, 100, 900)]
    assert states(picked) == ["ESTABLISHED", "ESTABLISHED"]
    assert waits_s(picked[:1]) == 300
    assert waits_s(more) == 432_000
    assert both(more, rules())[0].assured.tolist() == [False, False, True]
    assert states(more, rules(loose=False)) == ["", "", ""]


def test_a_fin_or_reset_of_an_unknown_connection_makes_no_entry() -> None:
    assert states([seg(0.0, CLIENT, Kind.FIN, 5, 6)]) == [""]
    assert states([seg(0.0, CLIENT, Kind.RST, 5)]) == [""]
    assert states([seg(0.0, SERVER, Kind.ACK, 5, 6)]) == [""]


def datagram(at_s: float, direction: int) -> Packet:
    return Packet(flow=1, uptime_s=1000 + at_s, direction=direction, kind=Kind.DATAGRAM)


def test_a_udp_flow_is_a_stream_only_after_2_s() -> None:
    rows = [datagram(0.0, CLIENT), datagram(0.1, SERVER), datagram(1.0, CLIENT)]
    later = [*rows, datagram(2.5, CLIENT)]
    assert states(later) == ["UNREPLIED", "REPLIED", "REPLIED", "ASSURED"]
    assert waits_s(rows) == 30
    assert waits_s(later) == 120
    assert states(rows, rules("5.10.1"))[-1] == "ASSURED"
    assert waits_s(rows, rules("5.10.1")) == 30
    assert waits_s(rows, rules("4.19.0")) == 120


def test_an_entry_is_gone_in_the_very_jiffy_its_timeout_ends() -> None:
    """At HZ 100 a packet at .006 counts from .00: up to a jiffy early, never late."""
    by = rules(hz=100)
    rows = [datagram(0.006, CLIENT), datagram(30.001, CLIENT)]
    assert replay(arrays(rows), by).expiry_uptime_s[0] == pytest.approx(1030.0)
    assert replay(arrays(rows), by).entry.tolist() == [0, 1]
    assert replay(arrays(rows), rules()).entry.tolist() == [0, 0]


def test_entries_are_numbered_in_the_order_of_their_rows() -> None:
    rows = [*CLOSED, seg(5.0, CLIENT, Kind.SYN, 5000)]
    other = [Packet(flow=0, uptime_s=1100.0, direction=0, kind=Kind.SYN)]
    found = replay(arrays([*other, *rows]), rules())
    assert found.entry.tolist() == [0] + [1] * len(CLOSED) + [2]


def test_a_sysctl_holds_from_an_entrys_next_packet_on() -> None:
    by = changed(rules(), (1000.75, "nf_conntrack_tcp_timeout_time_wait", 7))
    assert waits_s(CLOSED, by) == 7
    assert waits_s(CLOSED[:8], by) == 30  # LAST_ACK, which nobody set
    late = changed(rules(), (1000.9, "nf_conntrack_tcp_timeout_time_wait", 7))
    assert waits_s(CLOSED, late) == 120


def test_nothing_makes_nothing() -> None:
    assert replay(arrays([]), rules()).entry.tolist() == []


# Windows ------------------------------------------------------------------------------------------


def scaled(client: int = -1, server: int = -1, window: int = 100) -> list[Packet]:
    """A handshake with small windows; -1 is no scale."""
    return [
        replace(SHAKE[0], window_scale=client, window=window),
        replace(SHAKE[1], window_scale=server, window=window),
        replace(SHAKE[2], window=window),
    ]


def outside(packets: list[Packet], by: ConntrackRules | None = None) -> int:
    """Where the last packet lies, which both replays must agree on."""
    by = by or rules()
    assert_equal(packets, by)
    found = replay(arrays(packets), by)
    assert found.counted[-1] == (found.outside[-1] == WITHIN)
    return int(found.outside[-1])


# The server gave a window of 100, so bytes 100 to 199 of the client's may come; those of a segment
# that begins in it count whole, and one that begins beyond, by no more than a window, is let pass.
@pytest.mark.parametrize(
    ("sequence", "size", "place"),
    [
        (200, 10, WITHIN),
        (201, 98, LATE),
        (201, 99, BEYOND),
        (1_000_000, 1, BEYOND),
        (0, 0, WITHIN),
        (WORD - 1, 0, LATE),
    ],
)
def test_a_client_may_send_what_the_server_acknowledged_plus_its_window(
    sequence: int, size: int, place: int
) -> None:
    sent = seg(1.0, CLIENT, Kind.ACK, sequence, 900, size=size)
    assert outside([*scaled(), sent]) == place
    assert outside([*scaled(), sent], rules(liberal=True)) == WITHIN


@pytest.mark.parametrize(
    ("ack", "place"),
    [(900, WITHIN), (901, BEYOND), (900 - 66_000, WITHIN), (899 - 66_000, LATE)],
)
def test_a_client_may_acknowledge_what_the_server_sent_and_not_much_less(
    ack: int, place: int
) -> None:
    assert outside([*scaled(), seg(1.0, CLIENT, Kind.ACK, 100, ack % WORD)]) == place


@pytest.mark.parametrize(
    ("client", "server", "furthest"), [(3, 3, 900), (3, -1, 200), (-1, 3, 200), (0, 3, 900)]
)
def test_windows_are_scaled_where_both_sides_said_so(
    client: int, server: int, furthest: int
) -> None:
    opened = scaled(client, server)
    opened.append(replace(seg(0.5, SERVER, Kind.ACK, 900, 100), window=100))
    inside, beyond = (
        seg(1.0, CLIENT, Kind.ACK, sequence, 900, size=2000)
        for sequence in (furthest, furthest + 1)
    )
    assert outside([*opened, inside]) == WITHIN
    assert outside([*opened, beyond]) == BEYOND


@pytest.mark.parametrize("cut_off", [0, 1])
def test_without_the_options_of_a_syn_no_window_is_judged(cut_off: int) -> None:
    opened = scaled()
    opened[cut_off] = replace(opened[cut_off], window_scale=CUT_OFF)
    assert outside([*opened, seg(1.0, CLIENT, Kind.ACK, 1_000_000, 900)]) == WITHIN


def test_without_all_packets_no_window_is_followed() -> None:
    by = replace(rules(), follows_windows=False)
    assert outside([*scaled(), seg(1.0, CLIENT, Kind.ACK, 1_000_000, 900)], by) == WITHIN


def test_what_lies_outside_moves_no_state_and_restarts_no_timeout() -> None:
    rows = [*ASKED, seg(9.0, CLIENT, Kind.FIN, 10_000_000, 1100)]
    assert states(rows)[-1] == "ESTABLISHED"
    found = replay(arrays(rows), rules())
    assert found.expiry_uptime_s[-1] == found.expiry_uptime_s[-2]


def test_the_directors_own_reset_of_what_it_did_not_translate_belongs_to_no_entry() -> None:
    beyond = seg(9.0, CLIENT, Kind.ACK, 10_000_000, 1100, size=10)
    rows = [*ASKED, beyond, seg(9.1, SERVER, Kind.RST, 1100)]
    assert states(rows)[-2:] == ["ESTABLISHED", "ESTABLISHED"]
    assert states([*ASKED, rows[-1]])[-1] == "CLOSE"


def test_a_reply_that_was_seen_was_translated_and_so_not_invalid() -> None:
    reply = seg(9.0, SERVER, Kind.ACK, 10_000_000, 150, size=10)
    assert outside([*ASKED, reply]) == WITHIN
    late = seg(9.0, SERVER, Kind.ACK, 900 - 70_000 + WORD, 150)
    assert outside([*ASKED, late]) == LATE
    assert outside([*ASKED, late], rules("5.10.100")) == WITHIN


def test_after_a_reply_that_should_have_been_invalid_windows_are_not_judged() -> None:
    """The capture missed what the client sent, or the server."""
    missed = seg(9.0, SERVER, Kind.ACK, 1100, 5000)
    beyond = seg(10.0, CLIENT, Kind.ACK, 10_000_000, 1100)
    assert outside([*ASKED, missed, beyond]) == WITHIN
    assert outside([*ASKED, beyond]) == BEYOND


def test_a_reset_after_the_clients_fin_beyond_its_window_does_not_shorten_its_own() -> None:
    by = rules(tcp_timeout_unacknowledged=130.0)
    fin = seg(9.0, CLIENT, Kind.FIN, 10_000_000, 1100)
    again = seg(10.0, CLIENT, Kind.RST, 20_000_000, 1100)
    assert waits_s([*ASKED, fin, again], by) == 432_000
