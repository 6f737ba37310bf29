"""A director's polls of entries: which read the table under one lock, and what that shows."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.recording.polls import polls_in_order
from tests.unit.analyzer.builders_packets import NS


@pytest.mark.parametrize(("lines", "last"), [(60, 1), (61, 1), (62, 0)])
def test_an_entry_was_missed_by_the_look_before_it_unless_that_may_be_torn(
    lines: int, last: int
) -> None:
    """Up to 61 lines come in one read(2), under one lock; of more, some may be missing."""
    at_ns = np.array([1, 2, 3], dtype=np.int64) * NS + 1
    read = polls_in_order(at_ns, at_ns, np.full(3, 4.0), np.array([5, lines, 5], dtype=np.int64))
    assert read.is_whole.tolist() == [True, last == 1, True]
    assert read.before(at_ns[2:]).tolist() == [last]
