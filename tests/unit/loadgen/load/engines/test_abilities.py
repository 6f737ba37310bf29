"""Which engine can do what, which one `auto` takes, and how a refusal reads."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.forecast.closings import CLOSES
from loadgen.errors import UsageProblem
from loadgen.load.engines.abilities import ABILITIES, ENGINES, choose, refusal
from loadgen.load.plan import (
    ClosedModel,
    Closing,
    Datagram,
    LoadPlan,
    OpenModel,
    Request,
    Stage,
)
from loadgen.target import Target

FIFTY = ClosedModel(requests=50)
MANY = ClosedModel(requests=20_000)
RATE = OpenModel(stages=(Stage(duration_s=1, rate_per_s=10),))
TLS = Request(tls=True)
REDIRECTS = Request(redirects=5)


def plan(**more: Any) -> LoadPlan:
    return LoadPlan(**{"target": Target(vip="192.0.2.1", port=80), "arrivals": FIFTY, **more})


def closing(kind: Any) -> Closing:
    return Closing(shares=((kind, 1.0),))


UDP = {"target": Target(vip="192.0.2.1", port=53, protocol="UDP"), "datagram": Datagram()}


@pytest.mark.parametrize(
    ("asked", "engine", "why"),
    [
        ({}, "http", "as curl would"),
        ({"arrivals": MANY}, "sockets", "more than 1,000"),
        ({"arrivals": RATE}, "sockets", "a schedule"),
        ({"arrivals": MANY, "request": TLS}, "http", "sockets cannot do TLS"),
        ({"arrivals": MANY, "request": REDIRECTS}, "http", "sockets cannot do --location"),
        ({"closing": closing("abandon")}, "sockets", "http cannot do --close abandon"),
        (UDP, "sockets", "http cannot do --udp"),
    ],
)
def test_auto_says_what_it_chose_and_why(asked: dict[str, Any], engine: str, why: str) -> None:
    chosen, said = choose("auto", plan(**asked))
    assert chosen == engine
    assert why in said


@pytest.mark.parametrize(
    ("engine", "asked", "said"),
    [
        ("http", {"closing": closing("abandon")}, "--engine http cannot do --close abandon"),
        ("http", UDP, "--engine http cannot do --udp"),
        ("sockets", {"request": TLS}, "--engine sockets cannot do TLS"),
        ("packets", {"request": TLS}, "--engine packets cannot do TLS"),
        ("packets", {"processes": 2}, "--engine packets cannot do --processes"),
        ("packets", {"requests_per_connection": 2}, "cannot do --requests-per-connection: it"),
        ("http", {"closing": closing("silent")}, "--engine http cannot do --close silent: its"),
        ("sockets", {"closing": closing("half-open")}, "sockets cannot do --close half-open: its"),
        ("auto", {"closing": closing("reset-fin")}, "reset-fin: .*; name --engine packets"),
        ("sockets", {"port_reuse_s": 1.0}, "--engine sockets cannot do --port-reuse"),
    ],
)
def test_what_an_engine_cannot_do_is_refused_by_name(
    engine: Any, asked: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageProblem, match=said) as caught:
        choose(engine, plan(**asked))
    assert "\n" not in str(caught.value)


def test_a_plan_that_no_engine_can_carry_out_says_so_of_both() -> None:
    with pytest.raises(
        UsageProblem, match=r"http cannot do --close abandon: .*; --engine sockets cannot do TLS"
    ):
        choose("auto", plan(request=TLS, closing=closing("abandon")))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_way_of_closing_is_had_or_refused_with_a_reason(engine: Any) -> None:
    for kind in CLOSES:
        why_not = refusal(engine, plan(closing=closing(kind)))
        assert (why_not is None) == (kind in ABILITIES[engine].closes)
        assert why_not is None or ": " in why_not
