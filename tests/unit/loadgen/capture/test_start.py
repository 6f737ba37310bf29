"""Which captures a run opens, and through which interface its packets leave."""

from __future__ import annotations

import pytest

from loadgen.capture.model import CaptureRefused
from loadgen.capture.start import interface_to


def test_loopback_is_reached_through_lo() -> None:
    assert interface_to("127.0.0.1") == "lo"


@pytest.mark.parametrize("address", ["not an address", "999.1.1.1"])
def test_no_route_is_no_capture(address: str) -> None:
    with pytest.raises(CaptureRefused, match="no route"):
        interface_to(address)
