"""Every real server of weight 0 in a recording: what it holds, and when the last of it goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analyzer.clock import iso
from analyzer.drain import Held, Timers, goes_s
from analyzer.ipvs.changes import BUSY_STATES
from analyzer.ipvs.states import Timeouts
from analyzer.log_clock.instants import in_its_own_time
from analyzer.log_clock.results import log_clock_of
from analyzer.observed import entry_polls_ns, ns
from analyzer.results import Drain, DrainState
from analyzer.rules import director_clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.clock import DirectorClock
    from analyzer.director import Director
    from analyzer.evidence import Evidence

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

TEMPLATE = "TEMPLATE"
_NS = 1_000_000_000
_SERVICE = ["protocol", "vip", "port", "fwmark"]
_SERVER = ["real_server", "real_port"]
NOT_READ = "its entries were not read"
NOTHING_SEEN = "it held no entry since its weight became 0"
RENEWED = "traffic still renews entries"


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
        return f"{self.row.protocol} {_end(str(self.row.vip), int(self.row.port))}"

    @property
    def server(self) -> str:
        """Address and port."""
        return _end(str(self.row.real_server), int(self.row.real_port))

    def has(self, entries: pd.DataFrame) -> pd.DataFrame:
        """Those of some entries that are its; a firewall mark does not stand in them."""
        chosen = entries["real_server"] == self.row.real_server
        if self.row.real_port:
            chosen &= (entries["real_port"] == self.row.real_port) | (entries["real_port"] == 0)
        if not pd.isna(self.row.vip):
            chosen &= entries["vip"] == self.row.vip
            chosen &= (entries["port"] == self.row.port) | (entries["port"] == 0)
        mine: pd.DataFrame = entries[chosen.fillna(value=False)]
        return mine


def _end(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def drains(evidence: Evidence) -> tuple[Drain, ...]:
    """Every real server that has weight 0 at a director's last poll."""
    log_clock = log_clock_of(evidence.manifest)
    return tuple(
        in_its_own_time(_drain(director, draining, evidence), log_clock)
        for director in evidence.directors
        for draining in _draining(evidence.services, director.name)
    )


def _draining(services: pd.DataFrame, director: str) -> Iterator[_Draining]:
    rows = services[services["director"] == director]
    if not (rows["weight"] == 0).any():
        return
    rows = rows.sort_values("at", kind="stable")
    last = rows["at"].max()
    for _, polls in rows.groupby([*_SERVICE, *_SERVER], dropna=False, sort=True):
        zero = (polls["weight"] == 0).to_numpy(dtype=bool)
        if not zero[-1] or polls["at"].iloc[-1] != last:
            continue
        first = int(np.flatnonzero(~zero)[-1]) + 1 if not zero.all() else 0
        row = next(polls.iloc[[-1]].itertuples(index=False))
        yield _Draining(row=row, since_ns=int(ns(polls["at"])[first]))


def _drain(director: Director, draining: _Draining, evidence: Evidence) -> Drain:
    polled_ns = entry_polls_ns(evidence.polls, director.name)
    if len(polled_ns) == 0:
        return _by_counters(director, draining)
    clock = director_clock(director, evidence)
    changes = evidence.changes
    mine = draining.has(changes[changes["director"] == director.name])
    left, went = _last_rows(mine, draining.since_ns)
    shown = left if len(left) else went
    held = _held(shown, mine, polled_ns, draining.since_ns, clock)
    first, last = (clock.client_ns(edge) for edge in goes_s(held, timers_of(director, clock)))
    renewed = bool(held.renewed.any()) and len(left) > 0
    by_ns, wide_s = _by(first, last)
    return Drain(
        director=director.name,
        service=draining.service,
        real_server=draining.server,
        weight_zero_since=iso(draining.since_ns),
        entries=len(left),
        states=_states(held, first, last) if len(left) else (),
        gone_by=None if renewed or by_ns is None else iso(by_ns),
        uncertainty_s=None if renewed else wide_s,
        not_before=iso(int(first.max())) if renewed else None,
        gone=iso(int(ns(went["gone_at"]).max())) if len(went) and not len(left) else None,
        why=RENEWED if renewed else None if len(shown) else NOTHING_SEEN,
    )


def timers_of(director: Director, clock: DirectorClock) -> Timers:
    """What a director's timers go by, as it was learnt."""
    return Timers(
        timeouts=director.timeouts or Timeouts(),
        hz=director.hz,
        phase_s=director.phase_s,
        doubt_s=clock.uncertainty_s + director.phase_uncertainty_s + 1 / (director.hz or 100),
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


_KEY = ["protocol", "client_ip", "client_port", "vip", "port"]


def _last_rows(changes: pd.DataFrame, since_ns: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each entry's last row that had it: of those that are there, and of those that went since."""
    rows = changes.sort_values("at", kind="stable")
    last = rows.drop_duplicates(_KEY, keep="last")
    had = rows[rows["change"] != "gone"].drop_duplicates(_KEY, keep="last")
    gone = last[(last["change"] == "gone") & (ns(last["at"]) > since_ns)]
    merged = had.merge(gone[[*_KEY, "at"]].rename(columns={"at": "gone_at"}), on=_KEY)
    there = last[last["change"] != "gone"]
    return there, merged


def _held(
    rows: pd.DataFrame,
    changes: pd.DataFrame,
    polled_ns: Ints,
    since_ns: int,
    clock: DirectorClock,
) -> Held:
    at_ns = ns(rows["at"])
    before = np.searchsorted(polled_ns, at_ns) - 1
    before_s = np.full(len(rows), -np.inf)
    known = before >= 0
    before_s[known] = clock.uptime_s(polled_ns[before[known]])
    return Held(
        state=rows["state"].to_numpy(dtype=object),
        client=rows["client_ip"].to_numpy(dtype=object),
        seen_s=clock.uptime_s(at_ns),
        expires_s=rows["expires_s"].to_numpy(dtype=np.float64),
        before_s=before_s,
        is_template=(rows["client_port"] == 0).to_numpy(dtype=bool),
        renewed=_renewed(rows, changes, since_ns),
    )


def _renewed(rows: pd.DataFrame, changes: pd.DataFrame, since_ns: int) -> Bools:
    """Whose timer was restarted in its busy state after the weight became 0."""
    told = changes[(changes["change"] == "state") & changes["state"].isin(BUSY_STATES)]
    told = told[ns(told["at"]) > since_ns]
    keys = pd.MultiIndex.from_frame(told[_KEY].astype("string"))
    busy = rows["state"].isin(BUSY_STATES).to_numpy(dtype=bool)
    found = pd.MultiIndex.from_frame(rows[_KEY].astype("string")).isin(keys)
    return np.asarray(busy & found, dtype=bool)


def _states(held: Held, first_ns: Ints, last_ns: Ints) -> tuple[DrainState, ...]:
    names = np.where(held.is_template, TEMPLATE, held.state)
    rows = []
    for name in dict.fromkeys(names):
        mine = names == name
        by_ns, wide_s = _by(first_ns[mine], last_ns[mine])
        rows.append(
            DrainState(
                state=str(name),
                n=int(mine.sum()),
                renewed=int(held.renewed[mine].sum()),
                gone_by=None if by_ns is None else iso(by_ns),
                uncertainty_s=wide_s,
            )
        )
    return tuple(rows)


def _by(first_ns: Ints, last_ns: Ints) -> tuple[int | None, float | None]:
    """The middle of the interval in which the last one goes, and half its width in seconds."""
    if len(first_ns) == 0:
        return None, None
    first, last = int(first_ns.max()), int(last_ns.max())
    return (first + last) // 2, (last - first) / 2 / _NS
