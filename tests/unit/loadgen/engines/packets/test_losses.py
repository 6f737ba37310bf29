"""A wire that loses frames: every connection to a real server ends, as one row that says how."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.loadgen.engines.packets.stand import SMALL, Losing, stand
from tests.unit.loadgen.wire import needs_root

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = needs_root

REQUESTS = 300
LIMIT_S = 8.0
"""Time for two tries after a SYN that was slow: then the first waits 3 s (RFC 6298, 5.7)."""

LOSSES = (0.01, 0.05, 0.20)
MIX = (("client", 4.0), ("server", 3.0), ("reset", 1.0), ("half", 1.0), ("never", 1.0))
MAY_FAIL = {
    "timeout: no connection",
    "timeout: no answer",
    "timeout: the server did not close",
}

Carried = tuple[list[dict[str, Any]], Losing]


@pytest.fixture(scope="module")
def carried(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Carried]:
    """The same plan over three wires at once."""

    def over(loss: float, folder: Path) -> Carried:
        with stand(folder, loss) as here:
            limits = {"timeout_s": LIMIT_S, "connect_timeout_s": LIMIT_S}
            return here.carry_out(here.plan(REQUESTS, REQUESTS, shares=MIX, **limits))

    with ThreadPoolExecutor(len(LOSSES)) as pool:
        folders = [tmp_path_factory.mktemp("lossy") for _ in LOSSES]
        return dict(zip(LOSSES, pool.map(over, LOSSES, folders), strict=True))


@pytest.mark.parametrize("loss", LOSSES)
def test_every_connection_is_accounted_for_and_none_twice(
    loss: float, carried: dict[float, Carried]
) -> None:
    rows, _ = carried[loss]
    assert [row["number"] for row in rows] == list(range(REQUESTS))
    whole = [row for row in rows if row["error"] is None]
    assert {(row["status"], row["size"]) for row in whole} == {(200, len(SMALL))}
    assert {row["error"] for row in rows} - {None} <= MAY_FAIL
    assert len(rows) - len(whole) <= 2 * REQUESTS * loss


@pytest.mark.parametrize("loss", LOSSES)
def test_what_went_again_is_counted(loss: float, carried: dict[float, Carried]) -> None:
    rows, outlet = carried[loss]
    again = sum(row["retransmits"] for row in rows)
    (said,) = re.findall(r"packets: .* sent, ([\d,]+) of them again", outlet.said[0])
    # a FIN may go again when its row has gone
    assert int(said.replace(",", "")) >= again >= REQUESTS * loss
