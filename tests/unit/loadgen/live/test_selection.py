"""Which real servers of a view are shown, and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.live.selection import FIGURES, Filter, Order, Selection, parse_filter
from loadgen.live.view import Arrivals
from tests.unit.loadgen.collect.builders_view import director, server, view

SERVERS = (
    server(real_server="10.0.0.1", service="TCP a", active=1, inactive=5, weight=1),
    server(real_server="10.0.0.2", service="TCP a", active=9, inactive=0, weight=0),
    server(real_server="10.0.0.3", service="TCP b", active=5, inactive=7, weight=3, arrivals=None),
)


def shown(selection: Selection) -> list[str]:
    found = selection.of(view(director(*SERVERS)))
    return [one.real_server[-1] for each in found.directors for one in each.servers]


@pytest.mark.parametrize(
    ("order", "servers"),
    [
        ("listed", "123"),
        ("active", "213"),  # services by their busiest, real servers within them
        ("inactive", "312"),
        ("new", "123"),  # what is not known comes last
        ("weight", "213"),
    ],
)
def test_services_and_their_real_servers_are_in_order(order: Order, servers: str) -> None:
    assert shown(Selection(order=order)) == list(servers)


@pytest.mark.parametrize(
    ("texts", "servers"),
    [
        ([], "123"),
        (["active>1"], "23"),
        (["active>=1"], "123"),
        (["weight=0"], "2"),
        (["weight != 0"], "13"),
        (["inactive<6", "active>1"], "2"),
        (["new>3.5"], "12"),
        (["10.0.0.3"], "3"),
        (["tcp A"], "12"),
        (["bal01"], "123"),
        (["nothing"], ""),
    ],
)
def test_all_filters_must_take_a_real_server(texts: list[str], servers: str) -> None:
    assert shown(Selection(filters=tuple(map(parse_filter, texts)))) == list(servers)


@pytest.mark.parametrize("text", ["", " ", "active>", ">5", "active>x", "weight==0", "idle>5"])
def test_what_looks_like_a_condition_and_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no filter"):
        parse_filter(text)


@given(st.sampled_from(sorted(FIGURES)), st.sampled_from([">", "<", ">=", "<=", "=", "!="]))
def test_a_condition_is_read_as_it_is_written(figure: str, comparison: str) -> None:
    assert parse_filter(f"{figure}{comparison}12.5") == Filter(
        figure=figure, comparison=comparison, number=12.5
    )


def test_a_director_that_is_lost_or_has_no_real_server_stays_in_the_view() -> None:
    lost, bare = director(*SERVERS, up=False), director(name="bal02")
    found = Selection(filters=(parse_filter("nothing"),)).of(view(lost, bare, director(*SERVERS)))
    assert [each.name for each in found.directors] == ["bal01", "bal02"]


def test_a_rate_that_is_not_known_counts_as_none() -> None:
    assert FIGURES["new"](server(arrivals=None)) == 0
    assert FIGURES["new"](server(arrivals=Arrivals(per_s=2, over_s=1, age_s=0))) == 2
