"""Which directors die, at which size, and how a link's counters are read."""

from __future__ import annotations

import pytest

from loadgen.capacity_proof.meters import counters
from loadgen.capacity_proof.prove import lab_scale, losses_of
from loadgen.capacity_proof.traffic import socket_inside
from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.system import netns

NAMES = ("bal01", "bal02", "bal03")


def test_each_director_dies_in_turn_or_each_set_of_so_many() -> None:
    assert losses_of(NAMES, 1, ()) == [(0,), (1,), (2,)]
    assert losses_of(NAMES, 2, ()) == [(0, 1), (0, 2), (1, 2)]
    assert losses_of(NAMES, 1, ("bal03",)) == [(2,)]
    assert losses_of(NAMES, 2, ("bal03", "bal01")) == [(0, 2)]


@pytest.mark.parametrize(
    ("failures", "kill", "words"),
    [(1, ("bal04",), "--kill bal04: expected one of bal01"), (2, ("bal01",), "expected 2")],
)
def test_who_cannot_be_killed_is_a_wrong_usage(
    failures: int, kill: tuple[str, ...], words: str
) -> None:
    with pytest.raises(UsageProblem, match=words):
        losses_of(NAMES, failures, kill)


@pytest.mark.parametrize(
    ("ingress_bps", "scale"),
    [(1.5e9, 0.01), (15e9, 0.002), (100e6, 0.04), (3e9, 0.01)],
)
def test_a_hundredth_unless_that_is_too_much_or_too_little(
    ingress_bps: float, scale: float
) -> None:
    assert lab_scale(ingress_bps) == pytest.approx(scale)


def test_a_port_sends_what_its_host_receives() -> None:
    text = (
        "Inter-|   Receive                            |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets ...\n"
        "lg-bal01:  700       9    0    0    0     0          0         0 123456      99    0"
        "    2    0     0       0          0\n"
    )
    assert list(counters(text)) == [("lg-bal01", 700, 123456, 99)]


def test_nothing_is_sent_from_the_machines_own_namespace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    monkeypatch.setattr(netns, "enter", lambda _name: None)
    with pytest.raises(RunFailed, match="is the machine's own; nothing is sent"):
        socket_inside("lg-nowhere", socket.SOCK_DGRAM)
