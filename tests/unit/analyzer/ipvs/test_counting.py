"""What counts as what: the marks of a template that was invalidated, before Linux 7.1 and since."""

from __future__ import annotations

import pytest

from analyzer.health.places import sort_entries
from analyzer.ipvs.counting import is_template
from analyzer.ipvs.proc.formats import Destination, Entry, Service

SERVER = Destination(
    address="192.168.10.21", port=80, forwarding="dr", weight=1, active=0, inactive=0
)
SERVICE = Service(
    protocol="TCP",
    address="192.168.10.2",
    port=80,
    fwmark=None,
    scheduler="rr",
    destinations=(SERVER,),
)


@pytest.mark.parametrize(
    ("port", "real_port"),
    [(80, 80), (65535, 65535), (80, 65535)],
    ids=["in force", "invalidated before 7.1", "invalidated since 7.1"],
)
def test_a_template_is_one_whatever_its_marks(port: int, real_port: int) -> None:
    """``ip_vs_check_template``: the client port is 0 in any case, by which it is known."""
    entry = Entry(
        protocol="TCP",
        client_ip="10.0.0.1",
        client_port=0,
        vip="192.168.10.2",
        port=port,
        real_server="192.168.10.21",
        real_port=real_port,
        state="NONE",
        expires_s=9,
    )
    assert is_template(entry)
    found = sort_entries([SERVICE], [entry])
    assert (found.templates, found.bound, found.orphans) == ((entry,), (), ())
