"""Two tables in order of flows: each row once, and no flow in two pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from analyzer.compared.beside import beside
from analyzer.observed.parted import Parted
from analyzer.parts import InMemory
from tests.unit.properties import examples

FLOWS = st.lists(st.integers(0, 9), max_size=30).map(sorted)


@examples(60)
@given(one=FLOWS, other=FLOWS, width=st.integers(1, 10), part_rows=st.integers(1, 12))
def test_each_row_is_given_once_and_each_flow_in_one_pair(
    one: list[int], other: list[int], width: int, part_rows: int
) -> None:
    table = pd.DataFrame({"flow": np.array(one, dtype=np.int64), "row": np.arange(len(one))})
    flow = np.array(other, dtype=np.int64)
    parts = [rows for _, rows in table.groupby(table["flow"] // width)] or [table]
    pairs = list(beside(Parted(lambda: iter(parts)), flow, InMemory(part_rows)))
    assert [row for pair in pairs for row in pair.frame["row"]] == list(range(len(one)))
    rows = [row for pair in pairs for row in range(pair.rows.start, pair.rows.stop)]
    assert rows == list(range(len(other)))
    flows = [{*pair.frame["flow"], *flow[pair.rows]} for pair in pairs]
    assert sum(map(len, flows)) == len(set().union(*flows))
