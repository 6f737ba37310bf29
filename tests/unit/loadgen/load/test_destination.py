"""Where a burst goes: names, curl's mappings, families; asked once."""

from __future__ import annotations

from typing import Any

import pytest

from loadgen.errors import UsageProblem
from loadgen.load.destination import LoadDestination, NameOverrides, find_destination

NAMES = {"www.example.net": ["192.0.2.1", "192.0.2.2", "2001:db8::1"], "other": ["192.0.2.9"]}


def found(host: str, port: int = 80, **given: Any) -> LoadDestination:
    return find_destination(host, port, NameOverrides(**given), lambda name, _: NAMES.get(name, []))


@pytest.mark.parametrize(
    ("host", "given", "address", "port", "authority"),
    [
        ("192.0.2.7", {}, "192.0.2.7", 80, None),
        ("2001:DB8:0::1", {}, "2001:db8::1", 80, None),
        ("[2001:db8::1]", {}, "2001:db8::1", 80, None),
        ("www.example.net", {}, "192.0.2.1", 80, "www.example.net:80"),
        ("www.example.net", {"family": 6}, "2001:db8::1", 80, "www.example.net:80"),
        (
            "www.example.net",
            {"resolve": ["www.example.net:80:198.51.100.1"]},
            "198.51.100.1",
            80,
            "www.example.net:80",
        ),
        (
            "nowhere",
            {"resolve": ["nowhere:80:198.51.100.1", "+nowhere:80:198.51.100.2,2001:db8::9"]},
            "198.51.100.2",
            80,
            "nowhere:80",
        ),
        (
            "nowhere",
            {"resolve": ["*:80:[2001:db8::9],198.51.100.2"], "family": 6},
            "2001:db8::9",
            80,
            "nowhere:80",
        ),
        (
            "www.example.net",
            {"resolve": ["www.example.net:81:198.51.100.1"]},
            "192.0.2.1",
            80,
            "www.example.net:80",
        ),
        (
            "www.example.net",
            {"connect_to": ["www.example.net:80:other:8080"]},
            "192.0.2.9",
            8080,
            "www.example.net:80",
        ),
        (
            "www.example.net",
            {"connect_to": ["::198.51.100.3:"]},
            "198.51.100.3",
            80,
            "www.example.net:80",
        ),
        (
            "www.example.net",
            {"connect_to": ["x:80:other:1", "::[2001:db8::5]:81"]},
            "2001:db8::5",
            81,
            "www.example.net:80",
        ),
        ("192.0.2.7", {"connect_to": ["::192.0.2.8:81"]}, "192.0.2.8", 81, "192.0.2.8:80"),
        (
            "www.example.net",
            {"connect_to": ["::other:"], "resolve": ["other:80:203.0.113.1"]},
            "203.0.113.1",
            80,
            "www.example.net:80",
        ),
    ],
)
def test_where_it_goes_and_what_stands_in_host(
    host: str, given: dict[str, Any], address: str, port: int, authority: str | None
) -> None:
    there = found(host, **given)
    assert (there.address, there.port, there.authority) == (address, port, authority)


@pytest.mark.parametrize(
    ("host", "given", "said"),
    [
        ("nowhere", {}, "nowhere has no address"),
        ("192.0.2.1", {"family": 6}, "has no IPv6 address"),
        ("x", {"resolve": ["x:80"]}, "--resolve x:80: expected HOST:PORT:ADDRESS"),
        ("x", {"resolve": ["x:80:y"]}, "--resolve x:80:y: expected"),
        ("x", {"connect_to": ["x:80:y"]}, "--connect-to x:80:y: expected HOST1"),
        ("x", {"connect_to": ["x:80:y:z"]}, "expected a port"),
        ("x", {"connect_to": ["x:80:y:99999"]}, "expected a port"),
    ],
)
def test_what_leads_nowhere_is_one_line_that_says_so(
    host: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageProblem, match=said):
        found(host, **given)


def test_the_resolver_is_asked_once_and_only_for_what_was_not_given() -> None:
    asked: list[str] = []

    def lookup(name: str, _: int) -> list[str]:
        asked.append(name)
        return ["192.0.2.1"]

    find_destination("a", 80, NameOverrides(), lookup)
    find_destination("192.0.2.1", 80, NameOverrides(), lookup)
    find_destination("b", 80, NameOverrides(resolve=["b:80:192.0.2.2"]), lookup)
    assert asked == ["a"]


def test_this_machines_own_resolver_knows_localhost() -> None:
    assert find_destination("localhost", 80, NameOverrides(family=4)).address == "127.0.0.1"
