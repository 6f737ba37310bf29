"""Which timeout a measured one may be: by protocol, forwarding, and what is configured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.estimate.counted.names import fixed_timeouts_s, names_of
from analyzer.ipvs.states import Timeouts
from analyzer.results import Estimate
from tests.unit.analyzer.builders_packets import director

UNKNOWN = replace(director(), timeouts=None)
SET = replace(director(), timeouts=Timeouts(tcp_s=900, tcpfin_s=45, udp_s=30))


def names(protocol: str, forwarding: str, value_s: float, of: object = UNKNOWN) -> list[str]:
    measured = Estimate(value=value_s, uncertainty=2.0)
    found = names_of(protocol, forwarding, measured, of)  # type: ignore[arg-type]
    return [f"{name.timeout_name} {name.state}" for name in found]


@pytest.mark.parametrize(
    ("protocol", "forwarding", "value_s", "expected"),
    [
        ("TCP", "dr", 45.0, ["tcpfin FIN_WAIT"]),
        ("TCP", "tun", 120.0, ["tcpfin FIN_WAIT"]),
        ("TCP", "dr", 10.0, ["tcpfin FIN_WAIT", "fixed CLOSE"]),
        ("TCP", "nat", 120.0, ["fixed TIME_WAIT"]),
        ("TCP", "nat", 60.0, ["fixed CLOSE_WAIT"]),
        ("TCP", "nat", 10.0, ["fixed CLOSE"]),
        ("TCP", "nat", 33.0, ["tcpfin FIN_WAIT"]),
        ("TCP", "local", 120.0, ["fixed TIME_WAIT"]),
        ("UDP", "nat", 300.0, ["udp UDP"]),
        ("UDP", "dr", 10.0, ["udp UDP"]),
        ("SCTP", "nat", 61.0, ["fixed SCTP"]),
        ("SCTP", "dr", 120.0, []),
        ("FWM", "dr", 45.0, ["tcpfin FIN_WAIT", "udp UDP"]),
        ("FWM", "nat", 120.0, ["fixed TIME_WAIT", "udp UDP"]),
        ("ESP", "dr", 45.0, []),
    ],
)
def test_where_nothing_is_configured(
    protocol: str, forwarding: str, value_s: float, expected: list[str]
) -> None:
    assert names(protocol, forwarding, value_s) == expected


@pytest.mark.parametrize(
    ("protocol", "forwarding", "value_s", "expected"),
    [
        ("TCP", "dr", 44.0, ["tcpfin FIN_WAIT"]),
        ("TCP", "dr", 30.0, []),
        ("TCP", "dr", 10.0, ["fixed CLOSE"]),
        ("UDP", "nat", 31.0, ["udp UDP"]),
        ("UDP", "nat", 45.0, []),
        ("FWM", "dr", 45.0, ["tcpfin FIN_WAIT"]),
        ("FWM", "dr", 30.0, ["udp UDP"]),
    ],
)
def test_what_is_configured_decides(
    protocol: str, forwarding: str, value_s: float, expected: list[str]
) -> None:
    assert names(protocol, forwarding, value_s, SET) == expected


def test_the_fixed_timeouts_of_each() -> None:
    assert fixed_timeouts_s("TCP", "dr") == [10.0]
    assert fixed_timeouts_s("TCP", "nat") == [10.0, 60.0, 120.0]
    assert fixed_timeouts_s("UDP", "nat") == []
    assert fixed_timeouts_s("SCTP", "nat") == [61.0]


def test_in_nat_all_that_fit_are_named() -> None:
    vague = Estimate(value=35.0, uncertainty=30.0)
    found = names_of("TCP", "nat", vague, UNKNOWN)
    assert [name.state for name in found] == ["CLOSE", "CLOSE_WAIT"]
