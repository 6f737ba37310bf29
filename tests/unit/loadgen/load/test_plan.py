"""The plan: what goes together, how connections are dealt out to ways of closing, the manifest."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.forecast.closings import CLOSES
from loadgen.errors import UsageProblem
from loadgen.load.hold import Hold
from loadgen.load.plan import (
    ClosedModel,
    Closing,
    Datagram,
    LoadPlan,
    OpenModel,
    PlannedTarget,
    Request,
    Stage,
)
from loadgen.target import Target

TARGET = Target(vip="192.0.2.1", port=80)
FIFTY = ClosedModel(requests=50)


def plan(**more: Any) -> LoadPlan:
    return LoadPlan(**{"target": TARGET, "arrivals": FIFTY, **more})


def stages(*pairs: tuple[float, float]) -> tuple[Stage, ...]:
    return tuple(Stage(duration_s=duration, rate_per_s=rate) for duration, rate in pairs)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"arrivals": ClosedModel(requests=0)}, "-n"),
        ({"arrivals": ClosedModel()}, "-n or -z"),
        ({"arrivals": ClosedModel(requests=1, concurrency=0)}, "-c"),
        ({"arrivals": ClosedModel(requests=1, think_s=-1)}, "--think"),
        ({"arrivals": OpenModel(stages=())}, "--stage"),
        ({"arrivals": OpenModel(stages=stages((1, 0)))}, "-q"),
        ({"arrivals": OpenModel(stages=stages((0, 5)))}, "--stage"),
        ({"arrivals": OpenModel(stages=stages((float("inf"), 5)))}, "--stage"),
        ({"closing": Closing(shares=())}, "--close"),
        ({"closing": Closing(shares=(("client", 0.0),))}, "--close"),
        ({"closing": Closing(hold=Hold(given_s=(-1.0,)))}, "--hold"),
        (
            {"closing": Closing(hold=Hold(distribution="uniform", given_s=(2.0, 1.0)))},
            "--hold: expected the shortest",
        ),
        ({"processes": 0}, "--processes"),
        ({"requests_per_connection": 0}, "--requests-per-connection: expected at least 1"),
        (
            {"request": Request(redirects=3), "requests_per_connection": 2},
            "--location .*: --requests-per-connection does not go with it",
        ),
        (
            {
                "target": Target(vip="192.0.2.1", port=53, protocol="UDP"),
                "datagram": Datagram(),
                "requests_per_connection": 2,
            },
            "--udp .*: --requests-per-connection does not go with it",
        ),
        ({"timeout_s": 0}, "--timeout"),
        ({"datagram": Datagram()}, "UDP"),
        ({"target": Target(vip="192.0.2.1", port=53, protocol="UDP")}, "UDP"),
        ({"sources": ("2001:db8::1",)}, "--local-ips"),
        (
            {
                "target": Target(vip="192.0.2.1", port=53, protocol="UDP"),
                "datagram": Datagram(),
                "closing": Closing(shares=(("reset", 1.0),)),
            },
            "--udp has no connections",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line_that_names_the_flag(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageProblem, match=said) as caught:
        plan(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        (FIFTY, 50),
        (ClosedModel(duration_s=3), None),
        (ClosedModel(requests=7, duration_s=3), None),
        (OpenModel(stages=stages((2, 500), (1, 0), (1, 100))), 1100),
        (OpenModel(stages=stages((2, 500)), requests=10), 10),
    ],
)
def test_how_many_requests_a_plan_comes_to(
    arrivals: ClosedModel | OpenModel, expected: int | None
) -> None:
    assert plan(arrivals=arrivals).expected_requests == expected


@pytest.mark.parametrize(
    ("arrivals", "connections", "most_per_s"),
    [
        (ClosedModel(requests=50), 8, None),
        (ClosedModel(duration_s=3), None, None),
        (OpenModel(stages=stages((2, 500), (1, 700))), 243, 100),
        (OpenModel(stages=stages((2, 500)), requests=10), 2, 500 / 7),
    ],
)
def test_a_plan_comes_to_connections_of_so_many_requests(
    arrivals: ClosedModel | OpenModel, connections: int | None, most_per_s: float | None
) -> None:
    load_plan = plan(arrivals=arrivals, requests_per_connection=7)
    assert load_plan.expected_connections == connections
    assert load_plan.most_connections_per_s == most_per_s
    assert load_plan.manifest()["requests_per_connection"] == 7


weights = st.dictionaries(
    st.sampled_from(CLOSES), st.integers(1, 100), min_size=1, max_size=len(CLOSES)
)


@given(weights, st.integers(0, 10**6), st.integers(100, 2000))
def test_any_row_of_connections_has_the_kinds_in_their_shares(
    mix: dict[Any, int], first: int, n: int
) -> None:
    closing = Closing(shares=tuple(mix.items()))
    seen = Counter(closing.of(number) for number in range(first, first + n))
    for kind, weight in mix.items():
        assert abs(seen[kind] - n * weight / sum(mix.values())) <= 10


@given(weights, st.integers(2, 16))
def test_the_kinds_are_not_in_step_with_a_scheduler_that_deals_in_turn(
    mix: dict[Any, int], servers: int
) -> None:
    closing = Closing(shares=tuple(mix.items()))
    seen = Counter(closing.of(number) for number in range(0, 2000 * servers, servers))
    for kind, weight in mix.items():
        assert abs(seen[kind] / 2000 - weight / sum(mix.values())) <= 0.02


def test_a_kind_without_a_share_is_never_dealt_out() -> None:
    closing = Closing(shares=(("never", 0.0), ("reset", 3.0), ("half", 0.0)))
    assert closing.kinds == ("reset",)
    assert {closing.of(number) for number in range(1000)} == {"reset"}


def test_the_manifest_is_json_and_says_what_was_sent() -> None:
    load_plan = plan(
        request=Request(method="POST", headers=(("X-A", "1"),), body=b"\x00\xff"),
        closing=Closing(shares=(("client", 70.0), ("reset", 30.0)), hold=Hold(given_s=(1.5,))),
    )
    shown = json.loads(json.dumps(load_plan.manifest()))
    assert shown["request"]["method"] == "POST"
    assert shown["request"]["body"] == "AP8="
    assert shown["request"]["headers"] == [["X-A", "1"]]
    assert shown["close"] == {"client": 70.0, "reset": 30.0}
    assert shown["hold_s"] == 1.5
    assert shown["hold"] == {"distribution": "fixed", "told_s": [1.5], "seed": 0}
    assert (shown["model"], shown["arrivals"]["requests"], shown["datagram"]) == (
        "closed",
        50,
        None,
    )


@pytest.mark.parametrize("name", ["Authorization", "cookie", "Proxy-Authorization"])
def test_the_manifest_keeps_no_credentials(name: str) -> None:
    load_plan = plan(request=Request(headers=((name, "s3cret"),)))
    assert "s3cret" not in json.dumps(load_plan.manifest())


def test_the_plan_of_each_target_alone_has_its_request_and_not_the_whole_pool() -> None:
    second = PlannedTarget(target=Target(vip="192.0.2.2", port=80), request=Request(path="/2"))
    whole = plan(others=(second,), sources=("198.51.100.1", "198.51.100.2"), timeout_s=7)

    alone = whole.by_target

    assert [(each.target.vip, each.request.path) for each in alone] == [
        ("192.0.2.1", "/"),
        ("192.0.2.2", "/2"),
    ]
    assert {(each.others, each.sources, each.timeout_s) for each in alone} == {((), (), 7)}
    assert plan(sources=whole.sources).by_target == (plan(sources=whole.sources),)
