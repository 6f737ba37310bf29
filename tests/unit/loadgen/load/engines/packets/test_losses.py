"""A wire that loses frames: every connection to a real server ends, as one row that says how."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.loadgen.load.engines.packets.stand import SMALL, Losing, stand
from tests.unit.loadgen.wire import needs_root

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_root

REQUESTS = 300
LIMIT_S = 8.0
"""Time for two tries after a SYN that was slow: then the first waits 3 s (RFC 6298, 5.7)."""

WIRES = [(0.01, 4), (0.05, 4), (0.20, 4), (0.05, 6)]
"""How much is lost of it, and the version of IP."""

MIX = (("client", 4.0), ("server", 3.0), ("reset", 1.0), ("half", 1.0), ("never", 1.0))
MAY_FAIL = {
    "timeout: no connection",
    "timeout: no answer",
    "timeout: the server did not close",
}

Carried = tuple[list[dict[str, Any]], Losing]
Carriages = dict[tuple[float, int], Carried]


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> Carriages:
    """The same plan over all wires at once."""

    def over(wire: tuple[float, int], folder: Path) -> Carried:
        loss, version = wire
        with stand(folder, loss) as here:
            limits = {"timeout_s": LIMIT_S, "connect_timeout_s": LIMIT_S}
            load_plan = here.plan(REQUESTS, REQUESTS, shares=MIX, version=version, **limits)
            return here.carry_out(load_plan)

    with ThreadPoolExecutor(len(WIRES)) as pool:
        folders = [tmp_path_factory.mktemp("lossy") for _ in WIRES]
        return dict(zip(WIRES, pool.map(over, WIRES, folders), strict=True))


@pytest.mark.parametrize(("loss", "version"), WIRES)
def test_every_connection_is_accounted_for_and_none_twice(
    loss: float, version: int, carried: Carriages
) -> None:
    rows, _ = carried[loss, version]
    assert [row["number"] for row in rows] == list(range(REQUESTS))
    whole = [row for row in rows if row["error"] is None]
    assert {(row["status"], row["size"]) for row in whole} == {(200, len(SMALL))}
    assert {row["error"] for row in rows} - {None} <= MAY_FAIL
    assert len(rows) - len(whole) <= 2 * REQUESTS * loss


@pytest.mark.parametrize(("loss", "version"), WIRES)
def test_what_was_retransmitted_is_counted(loss: float, version: int, carried: Carriages) -> None:
    rows, outlet = carried[loss, version]
    again = sum(row["retransmits"] for row in rows)
    (said,) = re.findall(r"packets: .* sent, ([\d,]+) of them again", outlet.said[0])
    # a FIN may be retransmitted after its row was handed on
    assert int(said.replace(",", "")) >= again >= REQUESTS * loss
