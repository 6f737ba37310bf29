"""``analyzer predict`` as an operator runs it: what it takes, prints, writes and refuses."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from loadgen.commands import exit_code_of
from loadgen.commands.analyzer import group
from loadgen.commands.types import CLOSE_MIX, RATE, SPAN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import click

    Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run ``analyzer predict`` with some words: exit code, standard output, standard error."""

    def predict(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["analyzer", "predict", *words])
        code = exit_code_of(group)
        return code, *capsys.readouterr()

    return predict


def document(run: Run, *words: str) -> dict[str, Any]:
    code, out, err = run(*words, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_the_summary_is_printed(run: Run) -> None:
    code, out, err = run("--rate", "2000", "--tcpfin", "30")
    assert (code, err) == (0, "")
    assert out.startswith("At 2,000 connections/s InActConn settles between 60,000 and 64,096")
    assert max(map(len, out.splitlines())) <= 100


def test_every_option_reaches_the_model(run: Run) -> None:
    words = (
        "-q 500/s -z 10m --close client=7,reset=3 --hold 1.5 --forwarding nat --hz 1000 "
        "--timeouts 600,20,100 --tcpfin 25s --sources 3 --ports 1000 --client-time-wait 1m "
        "--conn-tab-bits 16 --arrivals poisson"
    )
    assert document(run, *words.split())["question"] == {
        "rate_per_s": 500.0,
        "duration_s": 600.0,
        "protocol": "tcp",
        "close": {"client": 7.0, "reset": 3.0},
        "hold_s": 1.5,
        "forwarding": "nat",
        "timeouts": {"tcp_s": 600.0, "tcpfin_s": 25.0, "udp_s": 100.0},
        "hz": 1000,
        "arrivals": "poisson",
        "sources": 3,
        "ports": 1000,
        "client_time_wait_s": 60.0,
        "conn_tab_bits": 16,
    }


def test_without_more_than_a_rate_it_is_a_client_closing_through_debian(run: Run) -> None:
    found = document(run, "--rate", "10")["question"]
    assert found["close"] == {"client": 1.0}
    assert (found["forwarding"], found["hz"], found["ports"]) == ("dr", 250, 28232)
    assert found["timeouts"] == {"tcp_s": 900, "tcpfin_s": 120, "udp_s": 300}


def test_the_page_is_written_and_named(run: Run, tmp_path: Path) -> None:
    page = tmp_path / "forecast.html"
    code, out, _ = run("--rate", "10", "-o", str(page))
    assert code == 0
    assert out.splitlines()[-1] == f"page: {page}"
    assert "<!doctype html>" in page.read_text()


def test_json_stays_alone_on_standard_output(run: Run, tmp_path: Path) -> None:
    code, out, err = run("--rate", "10", "--json", "-o", str(tmp_path / "p.html"))
    assert code == 0
    assert json.loads(out)["schema_version"] == 1
    assert err.startswith("page: ")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--rate 0",
        "--rate -5",
        "--rate fast",
        "--rate 5 --rate",
        "--rate 5 --tcpfin 0",
        "--rate 5 --tcpfin 40000000",
        "--rate 5 --duration 0",
        "--rate 5 --duration x",
        "--rate 5 --close slowly",
        "--rate 5 --close client=70,client=30",
        "--rate 5 --close client,server",
        "--rate 5 --close client=0",
        "--rate 5 --close client=",
        "--rate 5 --close client=-1",
        "--rate 5 --close client=70;server=30",
        "--rate 5 --hold -1",
        "--rate 5 --forwarding route",
        "--rate 5 --timeouts 900,30",
        "--rate 5 --hz 60",
        "--rate 5 --sources 0",
        "--rate 5 --ports 70000",
        "--rate 5 --conn-tab-bits 28",
        "--rate 5 --arrivals bursty",
        "--rate 5 --protocol udp --close client",
        "--rate 5 -o /nowhere/at/all.html",
        "--rate 5 -o /",
    ],
)
def test_a_wrong_word_is_one_clear_line(run: Run, words: str) -> None:
    code, _, err = run(*words.split())
    assert code == 2
    assert err.count("\n") == 1
    assert "fault of ours" not in err


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (RATE, "500", 500.0),
        (RATE, "0.5/s", 0.5),
        (RATE, 7, 7.0),
        (SPAN, "2m", 120.0),
        (SPAN, "31", 31.0),
        (CLOSE_MIX, "half", {"half": 1.0}),
        (CLOSE_MIX, "client=70,server=20,reset=10", {"client": 70, "server": 20, "reset": 10}),
        (CLOSE_MIX, "never=0.5,client=0", {"never": 0.5, "client": 0}),
    ],
)
def test_a_value_is_taken(kind: click.ParamType[Any], text: Any, value: object) -> None:
    assert kind.convert(text, None, None) == value
