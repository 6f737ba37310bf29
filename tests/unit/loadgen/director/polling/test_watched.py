"""Which services a run watches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analyzer.ipvs.proc.entry_text import read_entries
from analyzer.ipvs.proc.formats import Service
from loadgen.director.polling.watched import parse_services_given, watch_targets
from loadgen.errors import UsageProblem
from loadgen.target import Target
from tests.unit.loadgen.director.fakes import FIN_WAIT, OTHERS

WEB = Service(
    protocol="TCP", address="192.168.10.2", port=80, fwmark=None, scheduler="rr", destinations=()
)
OTHER_PORT = replace(WEB, port=81)
SAME_PORT_UDP = replace(WEB, protocol="UDP")
OTHER_VIP = replace(WEB, address="192.168.10.3")
IPV6 = replace(WEB, address="fd00::2")
MARKED = replace(WEB, protocol="FWM", address=None, port=None, fwmark=258)
SERVICES = (WEB, OTHER_PORT, SAME_PORT_UDP, OTHER_VIP, IPV6, MARKED)


@pytest.mark.parametrize(
    ("given", "watched"),
    [
        ((), SERVICES),
        (("192.168.10.2",), (WEB, OTHER_PORT, SAME_PORT_UDP)),
        (("192.168.10.2:80",), (WEB, SAME_PORT_UDP)),
        (("192.168.10.2:81", "192.168.10.3"), (OTHER_PORT, OTHER_VIP)),
        (("fd00:0::2",), (IPV6,)),
        (("[fd00::2]:80",), (IPV6,)),
        (("[fd00::2]",), (IPV6,)),
        (("fwmark:258",), (MARKED,)),
        (("fwmark:0x102",), (MARKED,)),
        (("10.0.0.1",), ()),
    ],
)
def test_the_services_that_are_named_are_watched(
    given: tuple[str, ...], watched: tuple[Service, ...]
) -> None:
    chosen = parse_services_given(given)
    assert tuple(service for service in SERVICES if chosen.has_service(service)) == watched


def test_a_burst_watches_the_service_it_is_sent_to() -> None:
    chosen = watch_targets([Target(vip="192.168.10.2", port=80)])
    assert [service for service in SERVICES if chosen.has_service(service)] == [WEB]


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ((), [80, 81]),
        (("192.168.10.2",), [80, 81]),
        (("192.168.10.2:81",), [81]),
        (("192.168.10.2:81", "192.168.10.2:80"), [80, 81]),
        (("192.168.10.3",), []),
        (("fwmark:1",), [80, 81]),  # an entry shows no mark
    ],
)
def test_entries_are_watched_with_their_service(given: tuple[str, ...], ports: list[int]) -> None:
    rows = read_entries(FIN_WAIT + OTHERS).rows
    assert list(parse_services_given(given).entries(rows)["port"]) == ports


def test_a_burst_watches_entries_of_its_own_protocol() -> None:
    rows = read_entries(FIN_WAIT).rows
    assert len(watch_targets([Target(vip="192.168.10.2", port=80)]).entries(rows)) == 1
    udp = Target(vip="192.168.10.2", port=80, protocol="UDP")
    assert len(watch_targets([udp]).entries(rows)) == 0


@pytest.mark.parametrize(
    "text", ["", "bal01", "192.168.10.2:0", "192.168.10.2:99999", "[fd00::2", "fwmark:", "fwmark:x"]
)
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(UsageProblem, match="--service") as caught:
        parse_services_given((text,))
    assert "\n" not in str(caught.value)
