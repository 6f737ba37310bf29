"""The tables of a fail-over: predicted and observed, parts of the outage, connections, entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.section import Cell, DataTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from analyzer.failover.results import Failback, Failover, InFlight


def failover_tables(failover: Failover) -> Iterator[tuple[str, DataTable]]:
    """The tables below the chart, each with its title; one without rows has nothing to show."""
    yield "Times without a master", _gaps(failover)
    if failover.observed_only:
        return
    yield "Predicted and observed", _predicted(failover)
    yield "Parts of the outage", _parts(failover)
    yield "Failback", _failback(failover)
    yield "Connections in flight", _in_flight(failover)
    yield "Entries on the directors", _entries(failover)


def _gaps(failover: Failover) -> DataTable:
    rows: list[tuple[Cell, ...]] = [
        (
            gap.vrid,
            gap.old_master,
            gap.new_master or "nobody",
            _seconds(gap.from_s),
            _seconds(gap.to_s - gap.from_s),
            _seconds(gap.due_s),
        )
        for gap in failover.gaps
    ]
    return DataTable(
        columns=("VRRP", "after", "then", "from, s", "length, s", "a take-over takes, s"), rows=rows
    )


def _predicted(failover: Failover) -> DataTable:
    uncertainty_s = (failover.prediction_uncertainty_s or 0) + (failover.resolution_s or 0)
    ranged = failover.predicted_range_s
    rows: list[tuple[Cell, ...]] = [
        (
            "outage, s",
            _seconds(failover.predicted_outage_s),
            _seconds(failover.outage_s),
            _error(failover),
        ),
        (
            "uncertainty ±, s",
            _seconds(uncertainty_s),
            _seconds(failover.resolution_s),
            "",
        ),
        (
            "range over all ages of the advertisement, s",
            f"{ranged[0]:.3f} to {ranged[1]:.3f}" if ranged else None,
            "",
            "",
        ),
        ("age of the last advertisement, s", "", _seconds(failover.advert_age_s), ""),
        ("master_down_interval, s", _seconds(failover.master_down_interval_s), "", ""),
        ("skew, s", _seconds(failover.skew_s), "", ""),
        ("requests late", _predicted_late(failover), failover.late, ""),
        ("requests failed", "", failover.failed, ""),
        ("largest delay of the client, s", "", _seconds(failover.client_late_s), ""),
        ("advertisements captured by", "", failover.seen_by, ""),
    ]
    return DataTable(columns=("", "predicted", "observed", "observed minus predicted"), rows=rows)


def _failback(failover: Failover) -> DataTable:
    back = failover.failback
    rows: list[tuple[Cell, ...]] = []
    if back is not None:
        rows = [
            ("old master again master after, s", _seconds(back.master_again_s)),
            ("that was due after, s", _due(back)),
            ("longest time without a successful connect, s", _seconds(back.gap_s)),
            ("requests late", back.late),
            ("requests failed", back.failed),
            ("connections in flight reset", back.reset),
        ]
    return DataTable(columns=("", "observed"), rows=rows)


def _due(back: Failback) -> Cell:
    if back.never_due:
        return "never (nopreempt)"
    return f"{back.due_s[0]:.3f} to {back.due_s[1]:.3f}" if back.due_s else None


def _seconds(value: float | None) -> Cell:
    return None if value is None else f"{value:.3f}"


def _error(failover: Failover) -> Cell:
    if failover.outage_s is None or failover.predicted_outage_s is None:
        return None
    return f"{failover.outage_s - failover.predicted_outage_s:+.3f}"


def _predicted_late(failover: Failover) -> Cell:
    """The rate times the outage: all its requests wait for a retransmitted SYN."""
    if failover.predicted_outage_s is None or not failover.resolution_s:
        return None
    return round(failover.predicted_outage_s / failover.resolution_s)


def _parts(failover: Failover) -> DataTable:
    parts = failover.parts_s
    named: dict[str, float | None] = {}
    if parts is not None:
        named = {
            "from the last success to the fault": parts.until_fault,
            "detection: the backup's wait": parts.detection,
            "take-over: until its first advertisement": parts.takeover,
            "gratuitous ARP": parts.gratuitous_arp,
            "first success": parts.first_success,
        }
    return DataTable(
        columns=("part", "s"),
        rows=[(name, _seconds(value)) for name, value in named.items()],
    )


def _in_flight(failover: Failover) -> DataTable:
    rows = list(_fates("during the fault", failover.in_flight))
    if failover.failback is not None:
        rows += _fates("during the failback", failover.failback.in_flight)
    return DataTable(
        columns=("kind", "when", "survived", "reset", "ended otherwise", "longest stall, s"),
        rows=rows,
    )


def _fates(when: str, kinds: Mapping[str, InFlight]) -> Iterator[tuple[Cell, ...]]:
    for kind, fate in kinds.items():
        stall = "" if fate.longest_stall_s is None else f"{fate.longest_stall_s:.2f}"
        yield (kind, when, fate.survived, fate.reset, fate.other, stall)


def _entries(failover: Failover) -> DataTable:
    return DataTable(
        columns=("director", "when", "ActiveConn", "InActConn", "entries", "of these synced"),
        rows=[
            (
                row.director,
                f"{row.phase}, {row.t_s:.1f} s",
                row.active,
                row.inactive,
                row.entries,
                row.synced,
            )
            for row in failover.entries
        ],
    )
