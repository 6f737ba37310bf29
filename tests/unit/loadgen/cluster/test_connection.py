"""Workers by name, and what may be shown of a name that somebody else wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from loadgen.cluster.connection import _named

if TYPE_CHECKING:
    Workers = dict[str, dict[str, Any]]


def names(found: Workers) -> list[tuple[str, str]]:
    return [(worker.name, worker.host) for worker in _named(found)]


def test_numbers_come_in_their_order_and_texts_after_them() -> None:
    found: Workers = {
        "tls://10.0.0.3:1": {"name": "beta"},
        "tls://10.0.0.1:1": {"name": 10},
        "tls://10.0.0.2:1": {"name": 9},
        "tls://10.0.0.4:1": {"name": "alpha"},
    }

    assert names(found) == [
        ("worker-9", "10.0.0.2"),
        ("worker-10", "10.0.0.1"),
        ("alpha", "10.0.0.4"),
        ("beta", "10.0.0.3"),
    ]


def test_a_worker_without_a_name_of_its_own_is_called_by_its_address() -> None:
    assert names({"tls://[2001:db8::1]:4000": {"name": "tls://[2001:db8::1]:4000"}}) == [
        ("[2001:db8::1]:4000", "2001:db8::1")
    ]


def test_a_name_cannot_move_the_cursor_or_fill_the_screen() -> None:
    ((name, _),) = names({"tls://10.0.0.1:1": {"name": "\x1b[2Jw" + "x" * 500}})

    assert name.isprintable()
    assert len(name) <= 80


def test_two_names_that_look_alike_are_told_apart() -> None:
    found: Workers = {"tls://10.0.0.1:1": {"name": 0}, "tls://10.0.0.2:2": {"name": "worker-0"}}

    assert [name for name, _ in names(found)] == ["worker-0", "10.0.0.2:2"]


NAMES = ["x", "y", 0, "worker-0", *(f"10.0.0.{k}:1" for k in range(4))]


@given(st.lists(st.sampled_from(NAMES), max_size=4))
def test_no_two_workers_are_called_the_same(given_names: list[str | int]) -> None:
    found: Workers = {f"tls://10.0.0.{k}:1": {"name": name} for k, name in enumerate(given_names)}

    called = [name for name, _ in names(found)]

    assert len(set(called)) == len(found)


def test_a_name_that_is_anothers_address_is_not_taken() -> None:
    found: Workers = {
        "tls://10.0.0.1:1": {"name": "x"},
        "tls://10.0.0.2:4000": {"name": "x"},
        "tls://10.0.0.3:1": {"name": "10.0.0.2:4000"},
    }

    assert [name for name, _ in names(found)] == ["10.0.0.3:1", "x", "10.0.0.2:4000"]
