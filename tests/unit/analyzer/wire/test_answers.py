"""What became of single segments to a VIP: sent on, answered, sent again, reset."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analyzer.ipvs.states import Flag
from analyzer.wire.answers import Answers, answers
from analyzer.wire.segments import Segments, passed
from tests.unit.analyzer.builders_packets import DIRECTOR_MAC, SERVER_MAC, Seg, segments

SYN, FIN, ACK, RST = Flag.SYN, Flag.FIN, Flag.ACK, Flag.RST
MACS = frozenset({DIRECTOR_MAC})


def reply(at_s: float, flag: Flag, mac: int = SERVER_MAC, port: int = 1) -> Seg:
    return Seg(at_s, port, flag, reply=True, mac=mac)


def of(*rows: Seg) -> Answers:
    """On the client's side of a director."""
    found = segments(rows)
    return answers(found, passed(found, MACS), MACS)


def with_copies(*rows: Seg, lost: int | None = None) -> Answers:
    """On a director's link: each segment to the VIP arrives and is sent on, but for one."""
    arriving = segments(rows)
    sent = segments(replace(row, at_s=row.at_s + 0.0005) for row in rows)
    keep = np.arange(len(rows)) != (-1 if lost is None else lost)
    sent = replace(
        sent,
        source_mac=np.full(len(rows), DIRECTOR_MAC),
        destination_mac=np.full(len(rows), SERVER_MAC),
    ).only(keep)
    both: dict[str, Any] = {
        name: np.concatenate([getattr(arriving, name), getattr(sent, name)])
        for name in Segments.__dataclass_fields__
        if name not in ("flows", "tcp", "store")
    }
    order = np.lexsort((both["at_ns"], both["flow"]))
    ordered = {name: values[order] for name, values in both.items()}
    found = replace(arriving, **ordered, tcp=None)
    return answers(found, passed(found, MACS), MACS)


def test_a_syn_that_was_accepted_was_taken() -> None:
    found = of(Seg(1.0, 1, SYN), reply(1.1, SYN), Seg(1.2, 1, ACK))
    assert found.taken.tolist() == [True, False]
    assert found.unanswered.tolist() == [False, False]


def test_a_syn_that_was_sent_again_was_not_answered() -> None:
    found = of(Seg(1.0, 1, SYN), Seg(2.0, 1, SYN), reply(2.1, SYN))
    assert found.unanswered.tolist() == [True, False]
    assert found.taken.tolist() == [False, True]


def test_a_syn_that_is_a_flows_last_segment_was_not_answered() -> None:
    assert of(Seg(1.0, 1, SYN), Seg(2.0, 2, SYN), reply(2.1, SYN, port=2)).unanswered.tolist() == [
        True,
        False,
    ]


def test_a_fin_sent_again_was_not_answered_but_an_ack_may_be_another_one() -> None:
    found = of(*(Seg(1.0 + n, 1, flag) for n, flag in enumerate((ACK, ACK, FIN, FIN, FIN))))
    assert found.unanswered.tolist() == [False, False, True, True, False]


def test_what_a_server_sends_on_its_own_says_nothing_sure() -> None:
    found = of(Seg(1.0, 1, ACK), reply(1.1, ACK))
    assert found.answered.tolist() == [True]
    assert found.taken.tolist() == [False]


@pytest.mark.parametrize("mac", [SERVER_MAC, DIRECTOR_MAC])
def test_a_server_that_repeats_itself_says_nothing(mac: int) -> None:
    """The client's ACK was dropped, and its FIN: what comes is the answer once more."""
    found = of(
        replace(reply(1.1, ACK, mac=mac), sequence=5),
        Seg(1.2, 1, ACK),
        Seg(1.3, 1, FIN),
        replace(reply(1.4, ACK, mac=mac), sequence=5),
        Seg(2.0, 1, FIN),
        replace(reply(2.1, FIN, mac=mac), sequence=6),
    )
    assert int((found.taken | found.answered).sum()) == 1  # the second FIN alone


def test_what_the_director_replies_says_that_it_took_it() -> None:
    found = of(Seg(1.0, 1, ACK), reply(1.1, ACK, mac=DIRECTOR_MAC))
    assert found.taken.tolist() == [True, False]  # the reply itself passed it too


def test_a_reset_by_a_director_that_passes_no_replies_on_is_its_own() -> None:
    accepted = [Seg(1.0, 1, SYN), reply(1.1, SYN)]
    found = of(*accepted, Seg(9.0, 1, FIN), reply(9.1, RST, mac=DIRECTOR_MAC))
    assert found.rejected.tolist() == [False, True, True]
    assert found.taken.tolist() == [True, False, False]
    assert found.answered.tolist() == [True, False, False]


def test_a_reset_by_a_director_that_passes_replies_on_may_be_a_servers() -> None:
    accepted = [Seg(1.0, 1, SYN), reply(1.1, SYN, mac=DIRECTOR_MAC)]
    found = of(*accepted, Seg(2.0, 1, FIN), reply(2.1, RST, mac=DIRECTOR_MAC))
    assert not found.rejected.any()


def test_a_servers_reset_is_not_the_directors() -> None:
    assert not of(Seg(1.0, 1, SYN), reply(1.1, RST)).rejected.any()


def test_on_the_directors_link_its_copy_says_that_it_took_it() -> None:
    rows = [Seg(1.0 + n, 1, flag) for n, flag in enumerate((SYN, ACK, FIN))]
    found = with_copies(*rows)
    assert found.taken.all()
    assert not (found.refused | found.unanswered).any()


def test_on_the_directors_link_what_has_no_copy_was_not_sent_on() -> None:
    """The FIN that was dropped, and its repetition that was not."""
    rows = [Seg(1.0, 1, SYN), Seg(2.0, 1, ACK), Seg(3.0, 1, FIN), Seg(3.2, 1, FIN)]
    found = with_copies(*rows, lost=2)
    assert found.taken.tolist() == [True, True, False, True]
    assert found.refused.tolist() == [False, False, True, False]
    assert found.unanswered.tolist() == [False, False, True, False]


def test_of_nothing_nothing_became() -> None:
    found = of()
    assert len(found.taken) == len(found.rejected) == 0
