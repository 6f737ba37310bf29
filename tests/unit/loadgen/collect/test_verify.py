"""What ``loadgen verify`` makes of two polls, and its edges; the lab's test runs it whole."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

import loadgen.collect.verify
import loadgen.lab.lab
from analyzer.health import Check, Health
from analyzer.ipvs.proc.formats import Destination, Service
from analyzer.ipvs.states import Timeouts
from loadgen.collect.verify import connections_per_s
from loadgen.commands import exit_code_of
from loadgen.commands.loadgen import group
from loadgen.commands.loadgen.verify import _exit_code
from loadgen.director.counters import Counters, server_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from analyzer.health import Outcome
    from loadgen.director.timeouts.restore import LeftTimeouts
    from loadgen.sites import Site

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


async def seen_well(
    site: Site, _window_s: float, _say: Callable[[str], None], _left: LeftTimeouts
) -> list[Health]:
    """In place of ``look_at``: every director is well."""
    return [
        Health(
            director=link.name,
            link=link.spec,
            kernel="6.1.0",
            hz=250,
            timeouts=Timeouts(),
            services=(SERVICE,),
            conn_tab_bits=12,
            per_s={},
            entries=(),
            sample_of=None,
            memory_available_bytes=10**9,
            vrrp_state=None,
            sync_daemon="none",
        )
        for link in site.directors
    ]


def test_the_last_line_names_the_directors_that_were_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Production is configured and a lab is up: production is judged."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOADGEN_DIRECTOR", "ssh://root@lb1;ssh://root@lb2")
    running = SimpleNamespace(name="lab", director_names=["bal01"], holds=lambda _: True)
    monkeypatch.setattr(loadgen.lab.lab, "running_labs", lambda: [running])
    monkeypatch.setattr(loadgen.collect.verify, "look_at", seen_well)
    monkeypatch.setattr(sys, "argv", ["loadgen", "verify", "--json"])
    assert exit_code_of(group) == 0
    out, err = capsys.readouterr()
    assert err.splitlines()[-1] == "All is as it should be: ssh://root@lb1, ssh://root@lb2"
    document = json.loads(out)
    assert document["lab"] is None
    assert [one["link"] for one in document["directors"]] == ["ssh://root@lb1", "ssh://root@lb2"]
    monkeypatch.setattr(sys, "argv", ["loadgen", "verify", "--vip", "10.0.0.1"])
    assert exit_code_of(group) == 2
    assert "lab 'lab' is up and holds 10.0.0.1, and LOADGEN_DIRECTOR" in capsys.readouterr().err
