"""What a recording cannot show is said in a row."""

from __future__ import annotations

from dataclasses import replace

from analyzer.evidence.gaps import gaps_of
from tests.unit.analyzer.failover.builders_wire import Silence


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
