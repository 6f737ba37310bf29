"""Entries that ended before their time: by how much they must have, to have had another cause."""

from __future__ import annotations

import pandas as pd
import pytest

from analyzer.compared.early_ends import with_early_ends
from analyzer.ipvs.states import Flag
from analyzer.observed.parted import Parted
from analyzer.predicted.entries import DROP_ENTRY, TIMER, predict
from tests.unit.analyzer.builders_packets import BOOT_NS, NS, Seg, clock, director, rules, segments

ENDS_NS = BOOT_NS + 1900 * NS
HALF_NS = NS // 2


def cause(sooner_ns: int, uncertainty_s: float = 0.0) -> str:
    """Of the end of an established entry, by that long before its timer would have fired."""
    about = clock(uncertainty_s=uncertainty_s)
    sent = segments([Seg(1000.0, 1, Flag.SYN), Seg(1000.1, 1, Flag.ACK)])
    absent_ns = ENDS_NS - sooner_ns
    times = {"appeared_ns": BOOT_NS + 1000 * NS, "last_ns": BOOT_NS + 1000 * NS}
    times |= {"seen_ns": absent_ns - NS // 4, "absent_ns": absent_ns, "absent_by_ns": absent_ns}
    row = {"entry": 0} | times | {"ends_ns": ENDS_NS}
    tracked = pd.DataFrame({name: [value] for name, value in row.items()}).astype("Int64")
    tracked = tracked.assign(cause=TIMER, state="ESTABLISHED")
    predicted = predict(sent, about, rules(), "bal01")
    dropping = director(drop_entry=1)
    prediction, found = with_early_ends(predicted, Parted.of(tracked), dropping, about)
    joined = found.whole()
    assert prediction.entries["cause"].tolist() == joined["cause"].tolist()
    return str(joined["cause"].iloc[0])


@pytest.mark.parametrize(
    ("sooner_ns", "expected"),
    [
        (0, TIMER),
        (HALF_NS - NS // 100, TIMER),
        (HALF_NS, TIMER),
        (HALF_NS + 1, DROP_ENTRY),
        (HALF_NS + NS // 100, DROP_ENTRY),
    ],
)
def test_an_entry_that_went_more_than_half_a_second_too_soon_did_not_go_by_its_timer(
    sooner_ns: int, expected: str
) -> None:
    assert cause(sooner_ns) == expected


@pytest.mark.parametrize(("beyond_ns", "expected"), [(0, TIMER), (1, DROP_ENTRY)])
def test_a_clock_that_is_known_badly_adds_its_uncertainty_to_the_half_second(
    beyond_ns: int, expected: str
) -> None:
    assert cause(HALF_NS + 2 * NS + beyond_ns, uncertainty_s=2.0) == expected
