"""Ways of closing: one meaning in the table, the engines, the model, help and docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from analyzer.forecast.closings import CLOSES, CLOSINGS, Close, in_words
from analyzer.forecast.lifetimes import Question, entry_lifetimes, final_states
from analyzer.forecast.model import forecast
from loadgen.burst.watch import _ENDS_IN
from loadgen.commands.analyzer.predict import predict
from loadgen.load.engines.closing import END, FIRST_TO_CLOSE, STAYS_OPEN
from loadgen.load.engines.packets.tcp.script import SCRIPTS, Segment
from loadgen.load.engines.rows import CLOSERS

DOCS = Path(__file__).parents[4] / "docs" / "load.md"
every_way = pytest.mark.parametrize("close", CLOSES)


def test_the_table_has_every_way_of_closing() -> None:
    assert tuple(CLOSINGS) == CLOSES
    assert len({way.meaning for way in CLOSINGS.values()}) == len(CLOSES)


@every_way
def test_the_docs_say_what_the_kernels_tables_say(close: Close) -> None:
    (row,) = re.findall(rf"^\| `{close}` \|.*", DOCS.read_text(), re.M)
    _, _, _, in_dr, in_nat, _ = row.split("|")
    assert final_states(close, "dr")[1].name in in_dr
    assert final_states(close, "nat")[1].name in in_nat


@every_way
def test_a_half_close_sends_a_fin_and_whoever_sends_none_closes_not_first(close: Close) -> None:
    """What the packets engine plays is what the table says of the client's part."""
    sent = {segment for _, segment in SCRIPTS[close].values()}
    packets = CLOSINGS[close].closes
    assert (Segment.FIN in sent) == (">FIN" in packets)
    assert (Segment.RST in sent) >= (">RST" in packets)
    assert FIRST_TO_CLOSE[close] == CLOSERS.index(CLOSINGS[close].closer)


@every_way
def test_a_burst_waits_for_the_states_that_the_model_ends_in(close: Close) -> None:
    assert {final_states(close, way)[1] for way in ("dr", "nat")} <= _ENDS_IN[close]


def test_a_half_close_is_a_fin_and_a_lone_syn_is_half_open() -> None:
    assert {close for close in CLOSES if close in STAYS_OPEN} == {"half", "never"}
    assert set(END) == {"client", "server", "reset", "half", "never", "abandon"}
    for forwarding in ("dr", "tun", "nat", "local"):
        assert final_states("half", forwarding) == final_states("client", forwarding)
        assert {state.name for state in final_states("half-open", forwarding)} == {"SYN_RECV"}


def test_the_client_keeps_a_half_closed_ports_time_wait() -> None:
    """It closed first: its kernel has the port for another minute."""
    half = Question(rate_per_s=10, close={"half": 1.0})
    client = Question(rate_per_s=10, close={"client": 1.0})
    assert forecast(half).ports == forecast(client).ports
    (one,), (other,) = entry_lifetimes(half), entry_lifetimes(client)
    assert (one.opened, one.last, one.lifetime_s) == (other.opened, other.last, other.lifetime_s)


@pytest.mark.parametrize(("forwarding", "said"), [("nat", True), ("local", True), ("dr", False)])
def test_where_the_server_decides_the_forecast_says_what_it_assumes(
    forwarding: str, said: bool
) -> None:
    shown = CliRunner().invoke(predict, ["-q", "10", "--close", "half", "--forwarding", forwarding])
    assert shown.exit_code == 0
    assert ("The server is taken to close" in " ".join(shown.output.split())) is said


def test_help_says_what_each_way_is() -> None:
    shown = " ".join(CliRunner().invoke(predict, ["--help"]).output.split()).replace("- ", "-")
    for close in CLOSES:
        assert in_words([close]).partition(" ")[0] in shown
    assert "half (the client's FIN, and then it only listens)" in shown
    assert "half-open (a SYN, and no answer to its SYN-ACK)" in shown
