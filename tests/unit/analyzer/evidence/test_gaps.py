"""What a recording cannot show is said in a row."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.evidence.gaps import gaps_of
from tests.unit.analyzer.builders_capture import ACK, VIP, Net, capture, imported
from tests.unit.analyzer.failover.builders_wire import Silence

if TYPE_CHECKING:
    from pathlib import Path

    from analyzer.report import Analysis


def test_announcements_that_were_left_out_are_not_measured() -> None:
    inputs = Silence()
    seen = inputs.wire.announcements()
    made = replace(
        inputs.evidence(),
        announcements=replace(seen, left_out=1234),
        seen_on={"bal01": seen, "bal02": replace(seen, bfd_left_out=7)},
    )
    rows = {(row.what, row.why) for row in gaps_of(made)}
    assert rows - {(row.what, row.why) for row in gaps_of(inputs.evidence())} == {
        (
            "1,234 packets of VRRP and ARP at the end of the capture on the client",
            "the first 100,000 are read",
        ),
        ("7 packets of BFD at the end of the capture on bal02", "the first 500,000 are read"),
    }


BEHIND = Net(way="nat", rport=8080)
POLL = f"""Sat Nov 28 00:16:40 UTC 2026
IP Virtual Server version 1.2.1 (size=4096)
TCP  {VIP}:80 rr
  -> {BEHIND.servers[0]}:8080              Masq    1      0          0
"""


def why_no_packets_of_a_service(found: Analysis) -> str:
    (gap,) = (gap for gap in found.not_measured if gap.what == "packets of the virtual services")
    return gap.why


def test_a_capture_without_a_packet_of_the_service_says_how_many_are_its_real_servers(
    tmp_path: Path,
) -> None:
    packets = [*BEHIND.connection(40000, 0), *BEHIND.connection(40001, 1)]
    meta = {"vip": VIP, "port": 80, "clock": {"offset_s_before": 0}}
    found = imported(
        tmp_path,
        capture(packets, "server", "ethernet", BEHIND),
        ("meta.json", json.dumps(meta)),
        ("poll.log", POLL),
    )
    assert why_no_packets_of_a_service(found) == (
        "of the 16 packets captured none is to or from a virtual service, but 8 are a real "
        "server's: so it is behind a director in nat; capture on the director or a client"
    )


def test_a_capture_of_which_no_service_is_known_says_what_would_tell(tmp_path: Path) -> None:
    net = Net()
    packets = net.connection(40000, 0, [(0.0, ">", ACK), (0.001, "<", ACK)])
    why = why_no_packets_of_a_service(
        imported(tmp_path, capture(packets, "client", "ethernet", net))
    )
    assert why.startswith("of the 2 packets read none opens a TCP connection")
