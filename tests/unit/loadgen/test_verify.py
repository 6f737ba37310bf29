"""What ``loadgen verify`` makes of two looks, and its edges; the lab's test runs it whole."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from analyzer.health import Check
from analyzer.ipvs.formats import Destination, Service
from loadgen.commands import exit_code_of
from loadgen.commands.loadgen import group
from loadgen.commands.loadgen.verify import _exit_code
from loadgen.director.counters import Counters
from loadgen.director.rows import server_key
from loadgen.verify import connections_per_s

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.health import Outcome

SERVER = Destination(address="10.0.0.5", port=80, forwarding="dr", weight=1, active=0, inactive=0)
SERVICE = Service(
    protocol="TCP", address="10.0.0.1", port=80, fwmark=None, scheduler="rr", destinations=(SERVER,)
)
KEY = server_key(SERVICE, SERVER)


def counted(conns: int) -> dict[tuple[str, str | None, int | None, int | None, str, int], Counters]:
    return {KEY: Counters(conns, 0, 0, 0, 0)}


def test_the_rate_is_what_the_counters_gained() -> None:
    rates = connections_per_s([SERVICE], counted(100), counted(300), 4.0)
    assert rates == {"TCP 10.0.0.1:80": 50.0}


def test_a_counter_that_was_zeroed_or_a_server_that_came_counts_nothing() -> None:
    assert connections_per_s([SERVICE], counted(100), counted(3), 4.0) == {"TCP 10.0.0.1:80": 0}
    assert connections_per_s([SERVICE], {}, counted(3), 4.0) == {"TCP 10.0.0.1:80": 0}


def test_without_counters_there_is_no_rate() -> None:
    assert connections_per_s([SERVICE], None, counted(3), 4.0) is None
    assert connections_per_s([SERVICE], counted(3), None, 4.0) is None


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (("passed", "skipped"), 0),
        (("passed", "failed"), 99),
        (("failed", "not measured"), 2),
        (("passed", "not measured"), 2),
    ],
)
def test_what_could_not_be_looked_at_is_never_a_pass(
    outcomes: tuple[Outcome, ...], code: int
) -> None:
    made = [Check(what="", director=None, outcome=one, detail="") for one in outcomes]
    assert _exit_code(made) == code


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--director", "exec:false"), "director cannot be used"),
        (("--director", "nonsense"), "expected local, ssh://"),
        (("--director", "local", "--expect-timeouts", "900,30"), "three numbers"),
    ],
)
def test_what_is_wrong_is_one_line(
    words: tuple[str, ...],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["loadgen", "verify", *words])
    assert exit_code_of(group) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
