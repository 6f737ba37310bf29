"""A log and a capture as operators have them: 50 connections under a tcpfin of 20 s.

``tests/data/field/timeouts`` has the log with ``Timeout (tcp tcpfin udp)`` printed in each poll;
the tests leave that out, or give it wrongly beside it.
"""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from analyzer.analysis import analyse
from analyzer.recording.directory import Recording
from tests.importing import import_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.report import Analysis
    from analyzer.results import Lifetime

FIELD = Path(__file__).parents[4] / "data" / "field" / "timeouts"
PRINTED = "Timeout (tcp tcpfin udp): 900 20 300\n"


def analysed(path: Path, printed: str, meta: Mapping[str, object] | None = None) -> Analysis:
    """The log with another line for the timeouts, or none, beside the capture."""
    source = path / "source"
    source.mkdir()
    text = gzip.decompress((FIELD / "director.log.gz").read_bytes()).decode()
    assert text.count(PRINTED) == 60
    (source / "director.log").write_text(text.replace(PRINTED, printed))
    shutil.copy(FIELD / "dr50.pcap", source)
    if meta:
        (source / "meta.json").write_text(json.dumps(meta))
    import_folder([source], path / "run")
    return analyse(Recording.open(path / "run"))


def row_of(found: Analysis) -> Lifetime:
    """Nothing but tcpfin ended entries, all of them as predicted, and nobody is blamed."""
    (row,) = found.lifetimes
    assert (row.state, row.timeout_name, row.n, row.n_expired) == ("FIN_WAIT", "tcpfin", 50, 50)
    (agreed,) = found.agreement
    assert agreed.entries_observed == agreed.entries_predicted == 50
    assert agreed.inactive_max_error == 0
    ids = {one.id for one in found.findings}
    assert not ids & {"prediction-differs", "foreign-entries", "ended-early"}
    assert "tcpfin governs" in found.verdict
    return row


def test_timeouts_that_are_printed_are_used(tmp_path: Path) -> None:
    row = row_of(analysed(tmp_path, PRINTED))
    assert (row.timeout_s, row.timeout_source) == (20, "printed in the log")
    assert (row.timeout_low_s, row.timeout_told_s) == (None, None)


def test_without_them_the_expire_column_tells(tmp_path: Path) -> None:
    """Looks a second apart, stamped in whole seconds, by another clock than the capture's."""
    found = analysed(tmp_path, "")
    row = row_of(found)
    assert (row.timeout_s, row.timeout_source) == (20, "entries")
    assert row.timeout_low_s is not None
    assert row.timeout_high_s is not None
    assert row.timeout_low_s <= 20 <= row.timeout_high_s <= row.timeout_low_s + 4
    assert re.search(r"the 20 s \(\d+ to \d+\) by the expire column", found.verdict)
    (gap,) = [gap for gap in found.not_measured if gap.what.startswith("configured timeouts")]
    assert "tcp 900 s, udp 300 s" in gap.why  # those are assumed


@pytest.mark.parametrize("reported_s", [5, 120])
def test_given_wrongly_the_assumption_is_dropped_and_not_the_clients(
    tmp_path: Path, reported_s: int
) -> None:
    meta = {"timeouts": {"tcp": 900, "tcpfin": reported_s, "udp": 300}}
    found = analysed(tmp_path, "", meta)
    row = row_of(found)
    assert (row.timeout_s, row.timeout_told_s) == (20, reported_s)
    (said,) = [one for one in found.findings if one.id == "timeouts-contradicted"]
    assert f"tcpfin {reported_s} s by meta.json, 20 s in FIN_WAIT" in said.evidence


def test_given_rightly_it_is_so_and_exact(tmp_path: Path) -> None:
    row = row_of(analysed(tmp_path, "", {"timeouts": {"tcp": 900, "tcpfin": 20, "udp": 300}}))
    assert (row.timeout_s, row.timeout_source, row.timeout_told_s) == (20, "meta.json", None)
    assert row.timeout_low_s is None


def test_of_what_polls_far_apart_leave_open_the_kernels_default_is_the_likeliest(
    tmp_path: Path,
) -> None:
    """Idle connections of a director that nobody configured, seen each half minute."""
    begun_s = 1_795_838_380
    came_s = [20 + 0.5 * number for number in range(9)]
    entry_polls = []
    for at_s in range(0, 120, 30):
        rows = [
            f"TCP {left // 60:02}:{left % 60:02}  ESTABLISHED 198.51.100.9:{41000 + number} "
            "192.0.2.80:80 192.0.2.21:80\n"
            for number, born_s in enumerate(came_s)
            if born_s <= at_s
            for left in [int(born_s + 900 - at_s)]
        ]
        entry_polls.append(f"{begun_s + at_s}\nIPVS connection entries\n{''.join(rows)}")
    (tmp_path / "idle.log").write_text("".join(entry_polls))
    import_folder([tmp_path / "idle.log"], tmp_path / "run")
    (row,) = analyse(Recording.open(tmp_path / "run")).lifetimes
    assert (row.timeout_name, row.timeout_s) == ("tcp", 900)
    assert row.timeout_measured_s is not None
    assert row.timeout_measured_s.uncertainty > 5
