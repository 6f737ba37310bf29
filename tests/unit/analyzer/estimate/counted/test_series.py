"""Series of a services table: one for each service and forwarding method, with Conns where read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from analyzer.estimate.counted.series import MOST_POLLS, CounterSeries, series_of, uncounted

if TYPE_CHECKING:
    from collections.abc import Sequence

Server = tuple[str, str | None, int | None, int | None, str | None, str, int]
Row = tuple[float, Server, int | None, int | None]
"""Seconds, server, InActConn, Conns."""

COLUMNS = ("protocol", "vip", "port", "fwmark", "forwarding", "real_server", "real_port")
WEB = ("TCP", "192.0.2.80", 80, None, "dr", "192.0.2.21", 80)
OTHER = ("TCP", "192.0.2.80", 80, None, "dr", "192.0.2.22", 80)
BY_NAT = ("TCP", "192.0.2.80", 80, None, "nat", "192.0.2.23", 80)
MARK = ("FWM", None, None, 3, "dr", "192.0.2.21", 0)
SIX = ("UDP", "fd00::53", 53, None, "nat", "fd00::21", 53)


def table(rows: Sequence[Row], cps: Sequence[int | None] | None = None) -> pd.DataFrame:
    """Rows, and their CPS."""
    made = [
        dict(zip(COLUMNS, server, strict=True))
        | {"at": pd.Timestamp(round(at_s * 1e9), tz="UTC"), "director": "bal01"}
        | {"active": None if inactive is None else 1, "inactive": inactive, "conns": conns}
        | {"cps": rate}
        for (at_s, server, inactive, conns), rate in zip(
            rows, cps or [None] * len(rows), strict=True
        )
    ]
    whole = ("port", "fwmark", "active", "inactive", "conns", "cps")
    return pd.DataFrame(made).astype(dict.fromkeys(whole, "Int64"))


def found(rows: Sequence[Row], cps: Sequence[int | None] | None = None) -> list[CounterSeries]:
    both = table(rows, cps)
    services = both[both["active"].notna()]
    return series_of(services, both[both["conns"].notna() | both["cps"].notna()], "bal01", 0)


def test_services_are_apart_by_forwarding_and_real_servers_are_summed() -> None:
    rows = [
        (float(at_s), server, at_s + more, None)
        for at_s in range(4)
        for server, more in ((WEB, 0), (OTHER, 10), (BY_NAT, 100), (MARK, 7), (SIX, 9))
    ]
    named = {(one.service, one.forwarding): one for one in found(rows)}
    assert set(named) == {
        ("TCP 192.0.2.80:80", "dr"),
        ("TCP 192.0.2.80:80", "nat"),
        ("FWM 3", "dr"),
        ("UDP [fd00::53]:53", "nat"),
    }
    web = named["TCP 192.0.2.80:80", "dr"]
    assert web.inactive.tolist() == [10, 12, 14, 16]
    assert web.active.tolist() == [2, 2, 2, 2]
    assert (web.conns, web.came, web.stamp_s) == (None, None, 1.0)


def test_a_server_that_is_not_listed_for_a_while_keeps_its_count() -> None:
    rows = [(float(at_s), WEB, 5, None) for at_s in range(4)]
    rows += [(at_s, OTHER, 3, None) for at_s in (0.0, 1.0, 3.0)]
    (one,) = found(rows)
    assert one.inactive.tolist() == [8, 8, 8, 8]


def test_stamps_of_fractions_leave_no_slack() -> None:
    (one,) = found([(at_s + 0.25 * (at_s == 1), WEB, 5, None) for at_s in (0.0, 1.0, 2.0)])
    assert one.stamp_s == 0.0


def test_conns_say_what_became_inactive() -> None:
    (one,) = found([(float(at_s), WEB, at_s, 100 + 4 * at_s) for at_s in range(5)])
    assert one.came is not None
    assert one.came.tolist() == [4, 4, 4, 4]


def test_polls_without_conns_are_left_out_where_conns_span_the_log() -> None:
    rows = [(at_s / 2, WEB, at_s, 100 + at_s if at_s % 4 == 0 else None) for at_s in range(17)]
    (one,) = found(rows)
    assert one.t_s.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert one.conns is not None
    assert one.conns.tolist() == [100, 104, 108, 112, 116]


def test_conns_of_other_instants_are_interpolated_and_blur_the_polls() -> None:
    rows: list[Row] = [(2.0 * number, WEB, 3, None) for number in range(10)]
    rows += [
        (2.0 * number + 1, (*WEB[:4], None, *WEB[5:]), None, 10 * number) for number in range(9)
    ]
    (one,) = found(rows)
    assert one.conns is not None
    assert one.t_s.tolist() == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0]
    assert one.conns.tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert one.stamp_s == pytest.approx(3.0)


def test_conns_that_were_zeroed_or_read_for_a_part_only_are_not_used() -> None:
    zeroed: list[Row] = [(float(at_s), WEB, at_s, (100 + at_s) % 103) for at_s in range(6)]
    partly: list[Row] = [(float(at_s), WEB, at_s, 100 if at_s < 3 else None) for at_s in range(9)]
    assert [one.conns for one in found(zeroed) + found(partly)] == [None, None]


def test_a_long_series_is_thinned() -> None:
    (one,) = found([(float(at_s), WEB, at_s % 7, None) for at_s in range(3 * MOST_POLLS)])
    assert len(one.t_s) == MOST_POLLS
    assert (one.t_s[0], one.t_s[-1]) == (0.0, 3 * MOST_POLLS - 1)
    assert np.all(one.inactive == one.t_s.astype(int) % 7)


def test_services_of_which_only_stats_were_printed_are_named_with_their_rate() -> None:
    rows = [(10.0 * number, (*WEB[:4], None, *WEB[5:]), None, 300 * number) for number in range(4)]
    both = table([*rows, (0.0, MARK, 3, 5)])
    services = both[both["active"].notna()]
    counted = both[both["conns"].notna()]
    assert uncounted(services, counted) == [("TCP 192.0.2.80:80", "TCP", 30.0)]


def test_cps_of_real_servers_is_summed_and_each_was_rounded() -> None:
    rows = [(5.0 * number, server, 3, None) for number in range(4) for server in (WEB, OTHER)]
    (one,) = found(rows, [1, 2, 3, 4, 5, 6, 7, 8])
    assert one.rates is not None
    assert one.rates.t_s.tolist() == [0.0, 5.0, 10.0, 15.0]
    assert one.rates.cps.tolist() == [3, 7, 11, 15]
    assert (one.rates.servers, one.conns) == (2, None)


def test_cps_of_looks_of_its_own_is_taken_and_counts_no_connections() -> None:
    rows: list[Row] = [(2.0 * number, WEB, 3, None) for number in range(9)]
    unread = (*WEB[:4], None, *WEB[5:])
    alone: list[Row] = [(2.0 * number + 1, unread, None, None) for number in range(8)]
    (one,) = found(rows + alone, [None] * 9 + list(range(8)))
    assert one.rates is not None
    assert one.rates.cps.tolist() == list(range(8))
    assert one.inactive.tolist() == [3] * 9
    assert uncounted(table(rows), table(alone, list(range(8)))) == []


@pytest.mark.parametrize("missing", [slice(0, 3), slice(3, 6), slice(7, 10)])
def test_cps_with_a_long_pause_is_not_taken(missing: slice) -> None:
    """What came in it may have left no trace."""
    cps: list[int | None] = [1] * 10
    cps[missing] = [None] * 3
    (one,) = found([(5.0 * number, WEB, 3, None) for number in range(10)], cps)
    assert one.rates is None


def test_where_conns_are_known_cps_is_not_asked() -> None:
    (one,) = found([(float(at_s), WEB, at_s, 4 * at_s) for at_s in range(5)], [4] * 5)
    assert (one.rates, one.conns is None) == (None, False)
