"""Every real server of weight 0 in a recording: its entries, and when the last one expires."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.drains.last_entry import EntryTimers, Timers, removal_s
from analyzer.drains.renewals import renewals
from analyzer.ipvs.addresses import CONNECTION_KEY, host_port
from analyzer.ipvs.states import Timeouts
from analyzer.log_clock.instants import in_log_time
from analyzer.observed.entries import ns
from analyzer.recording.clock import iso
from analyzer.results import Drain, DrainState
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from analyzer.arrays import Bools, Ints
    from analyzer.evidence.evidence import Evidence
    from analyzer.recording.clock import DirectorClock
    from analyzer.recording.director import Director
    from analyzer.recording.polls import EntryPolls


TEMPLATE = "TEMPLATE"
_KEY = list(CONNECTION_KEY)
_SERVICE = ["protocol", "vip", "port", "fwmark"]
_SERVER = ["real_server", "real_port"]
NOT_READ = "its entries were not read"
NOTHING_SEEN = "it held no entry since its weight became 0"
RENEWED = "traffic still renews entries"
CLIENTS_RETURN = "clients that come back renew their templates"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draining:
    """A real server of weight 0 on one director.

    Attributes:
        row: its row in the last poll.
        since_ns: the first poll of the present spell of weight 0.
    """

    row: Any
    since_ns: int

    @property
    def service(self) -> str:
        """Protocol and virtual end, or the firewall mark."""
        if pd.isna(self.row.vip):
            return f"FWM {self.row.fwmark}"
        return f"{self.row.protocol} {host_port(str(self.row.vip), int(self.row.port))}"

    @property
    def server(self) -> str:
        """Address and port."""
        return host_port(str(self.row.real_server), int(self.row.real_port))

    def has(self, entries: pd.DataFrame) -> pd.DataFrame:
        """The entries that are this server's; they do not show a firewall mark."""
        chosen = entries["real_server"] == self.row.real_server
        if self.row.real_port:
            chosen &= (entries["real_port"] == self.row.real_port) | (entries["real_port"] == 0)
        if not pd.isna(self.row.vip):
            chosen &= entries["protocol"] == self.row.protocol
            chosen &= entries["vip"] == self.row.vip
        if not pd.isna(self.row.vip) and self.row.port:  # port 0 is any port
            chosen &= (entries["port"] == self.row.port) | (entries["port"] == 0)
        of_server: pd.DataFrame = entries[chosen.fillna(value=False)]
        return of_server


def drains(evidence: Evidence) -> tuple[Drain, ...]:
    """Every real server that has weight 0 at a director's last poll."""
    log_clock = evidence.manifest.imported.log_clock
    return tuple(
        in_log_time(_drain(director, draining, evidence), log_clock)
        for director in evidence.directors
        for draining in _draining(evidence.by_director[director.name].services)
    )


def _draining(rows: pd.DataFrame) -> Iterator[_Draining]:
    if not (rows["weight"] == 0).any():
        return
    rows = rows.sort_values("at", kind="stable")
    last = rows["at"].max()
    for _, polls in rows.groupby([*_SERVICE, *_SERVER], dropna=False, sort=True):
        is_zero = (polls["weight"] == 0).to_numpy(dtype=bool)
        if not is_zero[-1] or polls["at"].iloc[-1] != last:
            continue
        first = int(np.flatnonzero(~is_zero)[-1]) + 1 if not is_zero.all() else 0
        row = next(polls.iloc[[-1]].itertuples(index=False))
        yield _Draining(row=row, since_ns=int(ns(polls["at"])[first]))


def _drain(director: Director, draining: _Draining, evidence: Evidence) -> Drain:
    record = evidence.by_director[director.name]
    clock, entry_polls = record.clock, record.entry_polls
    if len(entry_polls.at_ns) == 0:
        return _by_counters(director, draining)
    changes_of_server = draining.has(record.changes)
    changes_of_server = changes_of_server.assign(at_ns=ns(changes_of_server["at"]))
    remaining, removed = _last_rows(changes_of_server, draining.since_ns)
    last_rows = remaining if len(remaining) else removed
    renewed = renewals(changes_of_server, entry_polls, draining.since_ns)
    held = _held(last_rows, renewed, entry_polls.at_ns, clock)
    first, last = (
        clock.client_ns(edge) for edge in removal_s(held, _timers(director, clock, entry_polls))
    )
    is_renewed = bool(held.renewed.any()) and len(remaining) > 0
    by_ns, wide_s = _removed_by(first, last)
    gone_by = None if by_ns is None else iso(by_ns)
    return Drain(
        director=director.name,
        service=draining.service,
        real_server=draining.server,
        weight_zero_since=iso(draining.since_ns),
        entries=len(remaining),
        states=_states(held, first, last) if len(remaining) else (),
        gone_by=None if is_renewed else gone_by,
        uncertainty_s=None if is_renewed else wide_s,
        not_before=iso(int(first.max())) if is_renewed else None,
        gone=iso(int(ns(removed["gone_at"]).max()))
        if len(removed) and not len(remaining)
        else None,
        why=_why(held, renewed=is_renewed),
        renewals=len(renewed),
        last_renewal=iso(int(renewed["at_ns"].max())) if len(renewed) else None,
        gone_by_if_quiet=gone_by if is_renewed else None,
        uncertainty_if_quiet_s=wide_s if is_renewed else None,
    )


def _timers(director: Director, clock: DirectorClock, entry_polls: EntryPolls) -> Timers:
    """A director's timers, uncertain also by the time that a read of its entries takes."""
    timers = timers_of(director, clock)
    took_s = float(np.median(entry_polls.by_ns - entry_polls.at_ns)) / NS_PER_S
    return replace(timers, uncertainty_s=timers.uncertainty_s + took_s)


def _why(held: EntryTimers, *, renewed: bool) -> str | None:
    if not len(held):
        return NOTHING_SEEN
    if not renewed:
        return None
    return CLIENTS_RETURN if bool((held.renewed & held.is_template).any()) else RENEWED


def timers_of(director: Director, clock: DirectorClock) -> Timers:
    """A director's timeouts, HZ and timer phase, as measured or read."""
    return Timers(
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        uncertainty_s=clock.uncertainty_s + director.phase_uncertainty_s + 1 / (director.hz or 100),
    )


def _by_counters(director: Director, draining: _Draining) -> Drain:
    row = draining.row
    return Drain(
        director=director.name,
        service=draining.service,
        real_server=draining.server,
        weight_zero_since=iso(draining.since_ns),
        entries=int(row.active) + int(row.inactive),
        states=(),
        gone_by=None,
        uncertainty_s=None,
        not_before=None,
        gone=None,
        why=NOT_READ,
    )


def _last_rows(changes: pd.DataFrame, since_ns: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The last row of each entry: those still there, and those removed since."""
    rows = changes.sort_values("at", kind="stable")
    last = rows.drop_duplicates(_KEY, keep="last")
    had = rows[rows["change"] != "gone"].drop_duplicates(_KEY, keep="last")
    gone = last[(last["change"] == "gone") & (ns(last["at"]) > since_ns)]
    merged = had.merge(gone[[*_KEY, "at"]].rename(columns={"at": "gone_at"}), on=_KEY)
    there = last[last["change"] != "gone"]
    return there, merged


def _held(
    rows: pd.DataFrame,
    renewed: pd.DataFrame,
    polled_ns: Ints,
    clock: DirectorClock,
) -> EntryTimers:
    at_ns = ns(rows["at"])
    before = np.searchsorted(polled_ns, at_ns) - 1
    before_s = np.full(len(rows), -np.inf)
    known = before >= 0
    before_s[known] = clock.uptime_s(polled_ns[before[known]])
    return EntryTimers(
        state=rows["state"].to_numpy(dtype=object),
        client=rows["client_ip"].to_numpy(dtype=object),
        seen_s=clock.uptime_s(at_ns),
        expires_s=rows["expires_s"].to_numpy(dtype=np.float64),
        before_s=before_s,
        is_template=(rows["client_port"] == 0).to_numpy(dtype=bool),
        renewed=_is_among(rows, renewed),
    )


def _is_among(rows: pd.DataFrame, others: pd.DataFrame) -> Bools:
    """Which rows are of an entry that also occurs in other rows."""
    keys, known = (
        pd.MultiIndex.from_frame(frame[_KEY].astype("string")) for frame in (rows, others)
    )
    return np.asarray(keys.isin(known), dtype=bool)


def _states(held: EntryTimers, first_ns: Ints, last_ns: Ints) -> tuple[DrainState, ...]:
    names = np.where(held.is_template, TEMPLATE, held.state)
    rows = []
    for name in dict.fromkeys(names):
        chosen = names == name
        by_ns, wide_s = _removed_by(first_ns[chosen], last_ns[chosen])
        rows.append(
            DrainState(
                state=str(name),
                n=int(chosen.sum()),
                renewed=int(held.renewed[chosen].sum()),
                gone_by=None if by_ns is None else iso(by_ns),
                uncertainty_s=wide_s,
            )
        )
    return tuple(rows)


def _removed_by(first_ns: Ints, last_ns: Ints) -> tuple[int | None, float | None]:
    """The middle of the interval in which the last entry is removed, and half its width, s."""
    if len(first_ns) == 0:
        return None, None
    first, last = int(first_ns.max()), int(last_ns.max())
    return (first + last) // 2, (last - first) / 2 / NS_PER_S
