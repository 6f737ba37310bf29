"""Findings that need packets: handshakes that never were, closes that never came, delays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from analyzer.ipvs.states import Flag, State
from tests.unit.analyzer.builders_packets import DIRECTOR_MAC, Seg
from tests.unit.analyzer.builders_run import (
    SECOND,
    Held,
    Life,
    closed,
    expires_at_s,
    half_open,
    removed_at,
)
from tests.unit.analyzer.findings.builders_scene import (
    AtTheDirector,
    Scene,
    answered_never_completed,
    by_id,
    ends,
    held_by_client,
    leaked,
    refused,
    reset,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.report import Analysis

TCP30 = {"timeouts": {"tcp": 30, "tcpfin": 20, "udp": 300}}
CONNTRACK = {"sysctl": {"conntrack": "1", "conn_reuse_mode": "1"}, "kernel": "6.1.0-56-amd64"}
OF_THE_WIRE = {"half-open", "arp-flux", "refused", "server-held-open", "port-reuse-delay"}


@pytest.fixture(scope="module", params=[Scene, AtTheDirector])
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    """Connections that the clients closed, captured at a client and at the director."""
    lives = [closed(40000 + n, 1000.0 + 0.1 * n) for n in range(10)]
    kind: type[Scene] = request.param
    return kind(lives=lives, until_s=1025.0).played(tmp_path_factory.mktemp("plain"))


def test_of_a_burst_that_went_well_the_wire_tells_nothing(plain: Analysis) -> None:
    assert not OF_THE_WIRE & set(by_id(plain))


# half-open ----------------------------------------------------------------------------------------


def test_half_open_in_dr(tmp_path: Path) -> None:
    lives = [answered_never_completed(40000 + n, 1000.0 + n, nat=False) for n in range(5)]
    found = Scene(lives=lives, until_s=1080.0).played(tmp_path)
    one = by_id(found)["half-open"]
    assert one.severity == "warning"
    assert one.title == "5 connections never finished their handshake, and count as active"
    assert "5 entries ended in SYN_RECV, 60 s each" in one.evidence
    assert f"such as {ends(40000)}, {ends(40001)}, {ends(40002)} and 2 more." in one.evidence
    assert [row.timeout_name for row in found.lifetimes] == ["fixed"]
    assert "arp-flux" not in by_id(found)  # the client's capture shows that servers answered


def test_half_open_in_nat_lasts_from_the_last_syn_ack(tmp_path: Path) -> None:
    lives = [answered_never_completed(40000 + n, 1000.0 + n, nat=True) for n in range(3)]
    found = Scene(lives=lives, forwarding="nat", until_s=1110.0, poll_s=0.4).played(tmp_path)
    one = by_id(found)["half-open"]
    assert one.title.startswith("3 connections")
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)}." in one.evidence
    (row,) = found.lifetimes
    assert (row.state, row.counted, row.timeout_s, row.n_expired) == ("SYN_RECV", "active", 60, 3)
    assert row.lifetime_s is not None
    assert 60 < row.lifetime_s.mean < 65.12
    assert not {"arp-flux", "refused"} & set(by_id(found))


def test_half_open_in_nat_where_no_server_answers_is_no_leak(tmp_path: Path) -> None:
    lives = [half_open(40000 + n, 1000.0 + n) for n in range(4)]
    found = by_id(Scene(lives=lives, forwarding="nat", until_s=1075.0).played(tmp_path))
    assert "half-open" in found
    assert "arp-flux" not in found


def test_half_open_under_secure_tcp_is_synack_for_120_s(tmp_path: Path) -> None:
    lives = [
        Life(
            (Seg(1000.0, 40000 + n, Flag.SYN),),
            Held(40000 + n, ((1000.0, State.SYNACK),), expires_at_s(1000.0, 120)),
        )
        for n in range(2)
    ]
    facts = {"sysctl": {"secure_tcp": "3"}}
    found = Scene(lives=lives, facts=facts, until_s=1130.0, poll_s=0.5).played(tmp_path)
    assert "2 entries ended in SYNACK, 120 s each" in by_id(found)["half-open"].evidence


# arp-flux and refused -----------------------------------------------------------------------------


def test_a_director_that_sees_only_syns_cannot_tell_the_leak_from_a_refusal(
    tmp_path: Path,
) -> None:
    lives = [half_open(40000 + n, 1000.0 + n) for n in range(4)]
    one = by_id(AtTheDirector(lives=lives, until_s=1075.0).played(tmp_path))["arp-flux"]
    assert one.severity == "warning"
    assert one.evidence.startswith("4 connections show a SYN and nothing after it")
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)} and 1 more" in one.evidence
    assert "(1.0 to 4.0 s)" in one.evidence  # since the run's start, at 999
    assert "cannot distinguish the two" in one.evidence


def test_a_client_that_sends_past_the_director_shows_the_leak(tmp_path: Path) -> None:
    lives = [leaked(40000 + n, 1000.0 + n) for n in range(4)]
    lives += [closed(41000 + n, 1000.0 + n) for n in range(4)]
    found = by_id(Scene(lives=lives, until_s=1075.0).played(tmp_path))
    one = found["arp-flux"]
    assert one.severity == "problem"
    assert one.evidence.startswith("4 connections began at the director and continued")
    assert ends(40000) in one.evidence
    assert ends(41000) not in one.evidence
    assert "arp_ignore=1" in one.advice
    assert "refused" not in found


def test_the_same_packets_to_the_director_are_no_leak(tmp_path: Path) -> None:
    """Each packet to the director's MAC: connections that the client closed."""
    lives = []
    for n in range(4):
        life = leaked(40000 + n, 1000.0 + n)
        sent = tuple(seg if seg.reply else replace(seg, mac=DIRECTOR_MAC) for seg in life.sent)
        lives.append(Life(sent, closed(40000 + n, 1000.0 + n).held))
    assert not OF_THE_WIRE & set(by_id(Scene(lives=lives, until_s=1030.0).played(tmp_path)))


def test_a_refusal_that_only_the_client_sees(tmp_path: Path) -> None:
    lives = [refused(40000 + n, 1000.0 + n) for n in range(4)]
    found = by_id(Scene(lives=lives, until_s=1075.0).played(tmp_path))
    one = found["refused"]
    assert one.severity == "problem"
    assert one.title == "4 connections were refused by a real server"
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)} and 1 more" in one.evidence
    assert "half-open" in found
    assert "arp-flux" not in found


def test_a_refusal_in_nat_closes_the_entry_and_is_no_half_open_one(tmp_path: Path) -> None:
    lives = [
        Life(
            (
                Seg(1000.0 + n, 40000 + n, Flag.SYN),
                Seg(1000.01 + n, 40000 + n, Flag.RST, reply=True),
            ),
            Held(
                40000 + n,
                ((1000.0 + n, State.SYN_RECV), (1000.01 + n, State.CLOSE)),
                expires_at_s(1000.01 + n, 10),
            ),
        )
        for n in range(4)
    ]
    found = by_id(Scene(lives=lives, forwarding="nat", until_s=1020.0).played(tmp_path))
    assert found["reset-closes-early"].title.startswith("4 connections were reset")
    assert found["refused"].title.startswith("4 connections were refused")
    assert OF_THE_WIRE & set(found) == {"refused"}


# server-held-open ---------------------------------------------------------------------------------


def test_a_server_that_closed_while_the_client_did_not(tmp_path: Path) -> None:
    lives = [held_by_client(40000 + n, 1000.0 + n, 30) for n in range(4)]
    lives += [closed(41000 + n, 1000.0 + n) for n in range(3)]
    found = Scene(lives=lives, facts=TCP30, until_s=1040.0).played(tmp_path)
    one = by_id(found)["server-held-open"]
    assert one.severity == "warning"
    assert one.title == "4 connections were closed by the server, not by the client"
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)} and 1 more (1.0 to 4.0 s)" in one.evidence
    assert {(row.state, row.n) for row in found.lifetimes} == {("ESTABLISHED", 4), ("FIN_WAIT", 3)}


@pytest.mark.parametrize("then", [Flag.FIN, Flag.RST])
def test_a_client_that_ends_it_after_the_server_holds_nothing(tmp_path: Path, then: Flag) -> None:
    """By a FIN, or by a reset: either way the director learns that it is over."""
    lives = [held_by_client(40000 + n, 1000.0 + n, 30, then=then) for n in range(4)]
    found = Scene(lives=lives, facts=TCP30, until_s=1030.0).played(tmp_path)
    assert {row.state for row in found.lifetimes} == {
        "FIN_WAIT" if then is Flag.FIN else "CLOSE",
    }
    assert "server-held-open" not in by_id(found)


# port-reuse-delay ---------------------------------------------------------------------------------


def late(port: int, began_s: float, *, sequence: int = 7, server: str = SECOND) -> Life:
    """A connection whose SYN came to nothing, and came again a second later."""
    life = closed(port, began_s + 1.0, server=server)
    first, *rest = life.sent
    syn = replace(first, sequence=sequence)
    return Life((replace(syn, at_s=began_s), syn, *rest), life.held)


def test_a_syn_that_hit_an_old_entry_was_dropped_under_conntrack(tmp_path: Path) -> None:
    lives = []
    for n in range(5):
        old = removed_at(reset(40000 + n, 1000.0 + n), 1003.0 + n)
        lives += [old, late(40000 + n, 1002.0 + n)]
    one = by_id(Scene(lives=lives, facts=CONNTRACK, until_s=1030.0).played(tmp_path))[
        "port-reuse-delay"
    ]
    assert one.severity == "problem"
    assert one.title == "5 connections waited a second: their source port was reused too soon"
    assert f"{ends(40000)}, {ends(40001)}, {ends(40002)} and 2 more (3.0 to 7.0 s)" in one.evidence
    assert "bal01: kernel 6.1.0-56-amd64, conn_reuse_mode 1, conntrack 1" in one.evidence


def merely_lost(port: int) -> list[Life]:
    """Its first connection: there is no older entry that the SYN could have hit."""
    life = late(port, 1000.0)
    states = ((1000.0, State.SYN_RECV), *life.held.states[1:])
    return [Life(life.sent, replace(life.held, states=states))]


def lost_when_the_old_entry_had_gone(port: int) -> list[Life]:
    """The port had a connection before, but the director had forgotten it long since."""
    (life,) = merely_lost(port)
    later = Life(
        tuple(replace(seg, at_s=seg.at_s + 30, sequence=9) for seg in life.sent),
        replace(
            life.held,
            states=tuple((at_s + 30, state) for at_s, state in life.held.states),
            gone_s=expires_at_s(life.sent[-1].at_s + 30, 20),
        ),
    )
    return [reset(port, 1000.0), later]


@pytest.mark.parametrize("made", [merely_lost, lost_when_the_old_entry_had_gone])
@pytest.mark.parametrize("facts", [{}, CONNTRACK])
def test_a_syn_that_was_merely_lost_is_no_delay_by_port_reuse(
    tmp_path: Path, made: Callable[[int], list[Life]], facts: dict[str, dict[str, str]]
) -> None:
    lives = [life for n in range(3) for life in made(40000 + n)]
    found = Scene(lives=lives, facts=facts, until_s=1060.0).played(tmp_path)
    assert "port-reuse-delay" not in by_id(found)
    assert "prediction-differs" not in by_id(found)


def test_a_port_used_again_without_delay_is_none(tmp_path: Path) -> None:
    """Conntrack 0: the SYN that hits the entry in CLOSE makes a new one at once."""
    lives = []
    for n in range(5):
        lives += [
            removed_at(reset(40000 + n, 1000.0 + n), 1003.0 + n),
            closed(40000 + n, 1003.0 + n),
        ]
    assert "port-reuse-delay" not in by_id(Scene(lives=lives, until_s=1030.0).played(tmp_path))
