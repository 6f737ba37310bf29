"""Packets through the tables: the normal lives of an entry, and what ends one early."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from analyzer.ipvs.flow_steps import NO_ENTRY
from analyzer.ipvs.states import Flag, Timeouts
from analyzer.predicted.replay import Beliefs, DirectorRules, replay
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, rules, segments

if TYPE_CHECKING:
    from analyzer.wire.segments import Segments

SYN, FIN, ACK, RST, BARE = Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST, Flag.BARE


def uptime_s(rows: Segments) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.asarray((rows.at_ns - BOOT_NS) / NS)


def run(rows: list[Seg], by: DirectorRules) -> Beliefs:
    found = segments(rows)
    return replay(found, uptime_s(found), by)


def names(beliefs: Beliefs) -> str:
    """Abbreviated states, one after another; a dash where there is no entry."""
    short = "NO ES SS SR FW TW CL CW LA LI SA".split()  # noqa: SIM905 - as the tables print them
    return " ".join("-" if state == NO_ENTRY else short[state] for state in beliefs.state)


def life(
    text: str, *, every_s: float = 0.01, port: int = 40000, began_s: float = 1000.0
) -> list[Seg]:
    """``syn <syn ack`` and so on, a ``<`` for a reply; ``+60`` lets seconds pass."""
    rows, at_s = [], began_s
    for word in text.split():
        if word.startswith("+"):
            at_s += float(word[1:])
            continue
        flag = Flag[word.strip("<").upper()]
        rows.append(Seg(at_s=round(at_s, 3), port=port, flag=flag, reply=word.startswith("<")))
        at_s += every_s
    return rows


LIVES = [
    # forwarding, segments, states after each, the last's timeout
    ("dr", "syn ack ack fin ack", "SR ES ES FW FW", 120, "the client closes: tcpfin"),
    ("dr", "syn ack ack ack fin", "SR ES ES ES FW", 120, "the server closes, the client follows"),
    ("tun", "syn ack ack fin ack", "SR ES ES FW FW", 120, "a tunnel sees what dr sees"),
    ("dr", "syn fin", "SR TW", 120, "FIN before the handshake's ACK was seen: TIME_WAIT"),
    ("dr", "syn", "SR", 60, "half open"),
    ("dr", "syn +1 syn +2 syn", "SR SR SR", 60, "repeated SYNs of a server that is silent"),
    ("dr", "syn ack ack", "SR ES ES", 900, "open and idle: tcp"),
    ("dr", "syn ack ack rst", "SR ES ES CL", 10, "the client resets"),
    ("dr", "syn rst", "SR SR", 60, "a reset while half open changes nothing"),
    ("dr", "syn ack bare", "SR ES CL", 10, "a packet with no flag closes"),
    ("nat", "syn <syn ack ack <ack fin <fin ack", "SR SR ES ES ES CW TW TW", 120, "client closes"),
    ("nat", "syn <syn ack ack <fin ack fin <ack", "SR SR ES ES FW FW TW TW", 120, "server closes"),
    ("nat", "syn <syn ack <fin", "SR SR ES FW", 120, "only the server has closed: tcpfin"),
    ("nat", "syn <syn ack fin <ack", "SR SR ES CW CW", 60, "only the client has closed"),
    ("nat", "syn <rst", "SR CL", 10, "refused by the server, and seen"),
    ("nat", "syn <syn ack rst", "SR SR ES CL", 10, "the client resets"),
    ("nat", "syn <syn <syn", "SR SR SR", 60, "half open, the SYN-ACK repeated"),
    ("local", "syn <syn ack fin <fin ack", "SR SR ES CW TW TW", 120, "local sees both sides"),
    ("dr", "syn <syn ack fin <fin ack", "SR SR ES CW TW TW", 120, "dr with the director as server"),
    ("dr", "ack fin rst", "- - -", None, "no entry is made without a SYN"),
    ("nat", "<syn <ack", "- -", None, "a reply makes no entry"),
]


@pytest.mark.parametrize(
    ("forwarding", "packets", "states", "timeout_s", "why"),
    LIVES,
    ids=[f"{row[0]}: {row[4]}" for row in LIVES],
)
def test_the_normal_lives(
    forwarding: str, packets: str, states: str, timeout_s: float | None, why: str
) -> None:
    found = run(life(packets), rules(forwarding))
    assert names(found) == states, why
    last_s = found.timeout_s[-1]
    assert (None if math.isnan(last_s) else last_s) == timeout_s, why


def test_tcpfin_has_effect_in_dr_and_none_in_nat() -> None:
    short = Timeouts(tcpfin_s=10)
    assert run(life("syn ack fin"), rules("dr", timeouts=short)).timeout_s[-1] == 10
    nat = run(life("syn <syn ack fin <fin ack"), rules("nat", timeouts=short))
    assert nat.timeout_s[-1] == 120


@pytest.mark.parametrize(
    ("forwarding", "packets", "after_s", "there"),
    [
        ("dr", "syn ack fin", 119.9, True),
        ("dr", "syn ack fin", 121.0, False),
        ("dr", "syn ack", 899.0, True),
        ("dr", "syn ack", 901.0, False),
        ("nat", "syn <syn ack fin <fin ack", 119.9, True),
        ("nat", "syn <syn ack fin <fin ack", 121.0, False),
        ("dr", "syn", 59.9, True),
        ("dr", "syn", 61.0, False),
        ("dr", "syn ack rst", 9.9, True),
        ("dr", "syn ack rst", 11.0, False),
    ],
)
def test_a_packet_after_the_expiry_finds_no_entry(
    forwarding: str, packets: str, after_s: float, there: bool
) -> None:
    found = run(life(f"{packets} +{after_s} ack"), rules(forwarding))
    assert (int(found.state[-1]) != NO_ENTRY) is there
    assert (int(found.entry[-1]) != NO_ENTRY) is there


def test_every_packet_restarts_the_timer() -> None:
    kept = run(life("syn ack +800 ack +800 ack +800 ack"), rules())
    assert names(kept) == "SR ES ES ES ES"
    assert kept.expiry_uptime_s[-1] == pytest.approx(1000 + 2400 + 0.04 + 900)


def test_retransmissions_keep_a_nat_entry_alive() -> None:
    """Half open in nat: the server's SYN-ACKs at 1, 3, 7, 15, 31 s each restart the 60 s."""
    found = run(life("syn <syn +1 <syn +2 <syn +4 <syn +8 <syn +16 <syn"), rules("nat"))
    assert set(found.entry) == {0}
    assert found.expiry_uptime_s[-1] == pytest.approx(1000 + 31 + 60, abs=0.1)


def test_an_entry_that_expired_and_its_successor_are_two() -> None:
    found = run(life("syn ack fin +130 syn ack fin"), rules())
    assert found.entry.tolist() == [0, 0, 0, 1, 1, 1]
    assert not found.reused.any()  # the first ended by its timer


REUSES = [
    # forwarding, packets of the first life, conn_reuse_mode, makes a new entry
    ("dr", "syn ack fin", 0, False),  # revived
    ("dr", "syn ack fin", 1, False),  # FIN_WAIT is not for mode 1
    ("dr", "syn ack fin", 2, True),  # mode 2 in dr: rescheduled
    ("dr", "syn ack fin", 3, True),  # mode has the value 2
    ("dr", "syn ack rst", 0, False),
    ("dr", "syn ack rst", 1, True),  # CLOSE
    ("dr", "syn ack rst", 2, True),
    ("nat", "syn <syn ack fin <fin ack", 0, False),
    ("nat", "syn <syn ack fin <fin ack", 1, True),  # TIME_WAIT
    ("nat", "syn <syn ack fin <fin ack", 2, True),
    ("nat", "syn <syn ack <fin", 2, False),  # FIN_WAIT, but replies are seen
    ("nat", "syn <syn ack <fin", 1, False),
    ("dr", "syn <syn ack <fin", 2, False),  # dr, but a reply has passed
    ("dr", "syn ack", 1, False),  # ESTABLISHED: the SYN belongs to it
    ("dr", "syn ack", 2, False),
    ("dr", "syn", 2, False),
]


@pytest.mark.parametrize(("forwarding", "packets", "mode", "fresh"), REUSES)
def test_a_port_used_again_while_the_old_entry_lives(
    forwarding: str, packets: str, mode: int, fresh: bool
) -> None:
    found = run(life(f"{packets} +1 syn ack"), rules(forwarding, mode=mode))
    assert bool(found.reused[-2]) is fresh
    assert found.entry[-1] == (1 if fresh else 0)
    assert found.reused.sum() == fresh


def test_a_reuse_without_rescheduling_revives_the_same_entry() -> None:
    found = run(life("syn ack fin +1 syn ack"), rules(mode=0))
    assert names(found) == "SR ES FW SR ES"


def test_a_new_entry_of_dr_expects_no_replies_again() -> None:
    found = run(life("syn <syn ack rst +1 syn ack fin fin"), rules())
    assert names(found) == "SR SR ES CL SR ES FW FW"


def test_without_hz_the_expiry_is_the_nominal_instant() -> None:
    found = run(life("syn ack fin"), rules(hz=None))
    assert found.expiry_uptime_s[-1] == pytest.approx(1000.02 + 120)


def test_with_hz_and_phase_the_expiry_is_a_step_of_the_wheel() -> None:
    found = run(life("syn ack fin"), rules(hz=100, phase_s=0.25, timeouts=Timeouts(tcpfin_s=20)))
    steps = (found.expiry_uptime_s[-1] - 300 - 0.25) / 0.64
    assert steps == pytest.approx(round(steps), abs=1e-6)
    assert 0 < found.expiry_uptime_s[-1] - (1000.02 + 20) <= 0.64


def test_no_segments_give_no_beliefs() -> None:
    found = run([], rules())
    assert len(found.entry) == len(found.state) == len(found.reused) == 0


def test_each_flow_is_judged_by_itself() -> None:
    rows = life("syn ack fin", port=1) + life("syn ack rst", port=2) + life("ack", port=3)
    found = run(rows, rules())
    assert names(found) == "SR ES FW SR ES CL -"
    assert found.entry.tolist() == [0, 0, 0, 1, 1, 1, NO_ENTRY]


def test_a_packet_at_the_very_instant_of_the_expiry_finds_no_entry() -> None:
    assert names(run(life("syn +59.99 ack"), rules())) == "SR -"
    assert names(run(life("syn +59.98 ack"), rules())) == "SR ES"


def test_in_every_flow_a_reusing_syn_that_comes_again_was_dropped_for_its_old_conntrack() -> None:
    rows = [one for port in (1, 2) for one in life("syn ack rst +1 syn syn", port=port)]
    found = run(rows, rules(old_conntrack=True))
    assert found.dropped.tolist() == [False, False, False, True, False] * 2
    assert found.entry[[4, 9]].tolist() == [1, 3]
