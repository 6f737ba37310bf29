"""What was done to a director meanwhile: command lines to events."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.importing.commands import classify, events_of

CLASSIFIED = [
    ("ipvsadm --set 900 10 300", "timeouts-changed", "900 10 300"),
    ("sudo ipvsadm --set 0 30 0", "timeouts-changed", "0 30 0"),
    ("ipvsadm -d -t 192.168.10.2:80 -r 192.168.10.22:80", "server-removed", "192.168.10.22:80"),
    (
        "ipvsadm -a -t 192.168.10.2:80 -r 192.168.10.22:80 -g -w 1",
        "server-added",
        "192.168.10.22:80",
    ),
    (
        "ipvsadm --delete-server --tcp-service 10.0.0.2:80 --real-server 10.0.0.22:80",
        "server-removed",
        "10.0.0.22:80",
    ),
    ("ipvsadm --add-server -f 7 -r 10.0.0.22", "server-added", "10.0.0.22"),
    ("ipvsadm -e -t 10.0.0.2:80 -r 10.0.0.22:80 -w 0", "server-edited", "10.0.0.22:80 weight 0"),
    (
        "ipvsadm --edit-server -t 10.0.0.2:80 -r 10.0.0.22:80 --weight 5",
        "server-edited",
        "10.0.0.22:80 weight 5",
    ),
    ("ipvsadm -C", "services-cleared", ""),
    ("ipvsadm --clear", "services-cleared", ""),
    ("sysctl -w net.ipv4.vs.conn_reuse_mode=2", "sysctl-changed", "conn_reuse_mode 2"),
    ("sysctl net/ipv4/vs/expire_nodest_conn=1", "sysctl-changed", "expire_nodest_conn 1"),
    ("sysctl -w net.ipv4.vs.drop_entry = 3", "sysctl-changed", "drop_entry 3"),
    # Of no consequence to the entries, or not understood: kept as they are.
    ("ipvsadm -Ln", "command", "ipvsadm -Ln"),
    ("ipvsadm", "command", "ipvsadm"),
    ("ipvsadm --set 900 10", "command", "ipvsadm --set 900 10"),
    ("ipvsadm -d -t 10.0.0.2:80", "command", "ipvsadm -d -t 10.0.0.2:80"),
    ("ipvsadm -A -t 10.0.0.2:80 -s rr", "command", "ipvsadm -A -t 10.0.0.2:80 -s rr"),
    ("ip link set eth0 down", "command", "ip link set eth0 down"),
    ("sysctl -w net.ipv4.ip_forward=1", "command", "sysctl -w net.ipv4.ip_forward=1"),
    ("echo 'unclosed", "command", "echo 'unclosed"),
    ("", "command", ""),
]


@pytest.mark.parametrize(("command", "kind", "detail"), CLASSIFIED)
def test_a_command_is_known_by_what_it_does(command: str, kind: str, detail: str) -> None:
    assert classify(command) == (kind, detail)


@given(st.text())
def test_no_command_crashes_it(command: str) -> None:
    kind, detail = classify(command)
    assert kind
    assert isinstance(detail, str)
    assert classify(f"ipvsadm {command}")[0]


def half_a_second_ahead(t: float) -> int:
    return round((t - 0.5) * 1e9)


def events(*commands: dict[str, Any]) -> list[dict[str, Any]]:
    return events_of({"commands": list(commands)}, "director", half_a_second_ahead)


def test_the_directors_own_times_are_the_more_exact() -> None:
    """Asked and answered on its clock, and so in the middle of both; the capture's clock else."""
    timed = {"director_t_start": 1000.4, "director_t_end": 1000.6}
    found = events({"t": 999.0, "cmd": "ipvsadm -C", **timed}, {"t": 999.0, "cmd": "ipvsadm -C"})
    assert [row["at"] for row in found] == [1_000_000_000_000, 999_000_000_000]
    assert {(row["host"], row["kind"]) for row in found} == {("director", "services-cleared")}
    assert {row["since"] for row in found} == {None}


def test_timeouts_hold_at_the_end_of_their_command_and_not_before_it_began() -> None:
    timed = {"director_t_start": 1000.4, "director_t_end": 1000.6}
    (row,) = events({"t": 999.0, "cmd": "ipvsadm --set 0 10 0", **timed})
    assert (row["since"], row["at"]) == (999_900_000_000, 1_000_100_000_000)


@pytest.mark.parametrize("meta", [{}, {"commands": None}, {"commands": []}])
def test_nothing_done_is_no_event(meta: dict[str, Any]) -> None:
    assert events_of(meta, "director", half_a_second_ahead) == []


@pytest.mark.parametrize("command", [{}, {"t": 1.0}, {"cmd": "ipvsadm -C"}, {"t": "x", "cmd": ""}])
def test_a_command_without_time_or_text_is_an_error(command: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        events(command)
