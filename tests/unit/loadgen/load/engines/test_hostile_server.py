"""A server that means ill: a request ends in time, and its failure quotes nothing of the wire."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.client.failure_texts import known_text
from tests.hostile.server import FAILURES, MODES, SECRET
from tests.unit.loadgen.load.engines.conduct import ENGINES, carry_out, plan
from tests.unit.loadgen.servers import own_address

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = Path(__file__).parents[4] / "hostile" / "server.py"
ADDRESS = own_address()
FIRST_PORT = 20_000
"""No port that the kernel gives away by itself."""

TIMEOUT_S = 0.6
PATIENCE_S = 60.0
"""Where the answer ends a request: a busy machine may take long to send it."""
LATEST_S = 30.0
"""Two requests of 0.6 s, on a machine that is busy."""


SAY_NOTHING = {"silent"}
"""What says anything is no TLS, and ends the handshake."""


def timeout_s(mode: str) -> float:
    """A request waits for nothing but its end where it may not end with its timeout."""
    return TIMEOUT_S if "timeout" in FAILURES[mode] else PATIENCE_S


@pytest.fixture(scope="module")
def first_port() -> Iterator[int]:
    argv = [sys.executable, str(PROGRAM), str(FIRST_PORT), ADDRESS]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        yield FIRST_PORT
        server.kill()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_ends_in_time_and_its_failure_quotes_nothing(
    first_port: int, engine: str, mode: str
) -> None:
    port = first_port + list(MODES).index(mode)
    asked = plan(port, 2, vip=ADDRESS, method="GET", timeout_s=timeout_s(mode))
    began_s = time.monotonic()
    rows = carry_out(engine, asked)
    assert time.monotonic() - began_s < LATEST_S
    assert [row["number"] for row in rows] == [0, 1]
    for row in rows:
        error = row["error"]
        assert row["failure"] in FAILURES[mode]
        assert error is None or known_text(error) == error
        assert SECRET not in str(row)


@pytest.mark.usefixtures("without_stalls_in_http")
@pytest.mark.parametrize("mode", MODES)
def test_to_a_client_that_begins_with_tls_its_answer_is_a_failed_handshake(
    first_port: int, mode: str
) -> None:
    port = first_port + list(MODES).index(mode)
    limit_s = TIMEOUT_S if mode in SAY_NOTHING else PATIENCE_S
    asked = plan(port, 1, vip=ADDRESS, method="GET", timeout_s=limit_s, tls=True)
    (row,) = carry_out("http", asked)
    # a RST may come before the connection is seen to stand
    assert row["failure"] in ({"tls", "reset"} if mode == "reset-at-once" else {"tls"})
    assert row["connected"] is None
    assert known_text(row["error"]) == row["error"]
    assert SECRET not in str(row)


def test_it_listens_at_loopback_unless_in_a_lab() -> None:
    refused = subprocess.run(
        [sys.executable, str(PROGRAM), "9000", "192.0.2.1"], capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert refused.stderr == "expected an address of loopback, or HOSTILE='in a lab'\n"
