"""The counters of each virtual service beside their values by its packets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from analyzer.compared.agreement import value_at
from analyzer.estimate.falls.bounds import ServiceCounter
from analyzer.estimate.state_timeouts import if_read
from analyzer.ipvs.states import State, is_active
from analyzer.ipvs.timers import granule_s
from analyzer.observed.entries import ns
from analyzer.predicted.curves import predicted_curve
from analyzer.predicted.entries import TIMER
from analyzer.recording.instants import seconds_since
from analyzer.units import KNOWN_HZ, NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    from analyzer.predicted.entries import Prediction
    from analyzer.recording.director import Director
    from analyzer.results import Estimate

    Bools = npt.NDArray[np.bool_]
    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

_FAR_NS = 1 << 62
_END = ["protocol", "vip", "port"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _PolledService:
    polled_ns: Ints
    active: Ints
    inactive: Ints
    entries: Ints  # indices into the prediction's


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """A director's services that both were polled and have packets.

    ``measured_s`` has the least and the greatest timeout of states whose timeout was not read.
    """

    prediction: Prediction
    director: Director
    services: tuple[_PolledService, ...]
    measured_s: Mapping[int, tuple[float, float]]
    zero_ns: int
    uncertainty_s: float

    def has(self, group: pd.DataFrame) -> bool:
        """Whether any of a group's entries belongs to one of the services."""
        return any(group.index.isin(service.entries).any() for service in self.services)

    def counters(
        self, group: pd.DataFrame, *, is_active: bool
    ) -> Iterator[tuple[ServiceCounter, Floats]]:
        """Counter and last packets of each service that has entries of a group.

        Args:
            group: rows of the prediction's entries, of one state and timeout.
            is_active: whether ActiveConn counts them.
        """
        for service in self.services:
            of_group = np.intersect1d(service.entries, group.index.to_numpy())
            if not len(of_group):
                continue
            rows = group[group.index.isin(of_group)]
            last_ns = np.sort(rows["last_ns"].to_numpy(dtype=np.int64))
            counter = self._counter_of(service, of_group, is_active=is_active)
            yield counter, seconds_since(last_ns, self.zero_ns)

    def _counter_of(
        self, service: _PolledService, of_group: Ints, *, is_active: bool
    ) -> ServiceCounter:
        early, late = self._ends(of_group)
        held = service.active if is_active else service.inactive
        values = [
            self._curve(service, ends_ns, shift_s, is_active=is_active)
            for ends_ns in (early, late)
            for shift_s in (-self.uncertainty_s, self.uncertainty_s)
        ]
        first_ns = int(self.prediction.entries["first_ns"].to_numpy()[service.entries].min())
        before = np.flatnonzero(service.polled_ns < first_ns - round(self.uncertainty_s * NS_PER_S))
        return ServiceCounter(
            polled_s=seconds_since(service.polled_ns, self.zero_ns),
            held=held,
            least=np.minimum.reduce(values),
            most=np.maximum.reduce(values),
            before=int(held[before[-1]]) if len(before) else 0,
        )

    def _curve(
        self, service: _PolledService, ends_ns: Ints, shift_s: float, *, is_active: bool
    ) -> Ints:
        """A service's counter by its packets at the polls, all entries ending as given."""
        prediction = self.prediction
        prediction = replace(prediction, entries=prediction.entries.assign(ends_ns=ends_ns))
        chosen = np.zeros(len(prediction.entries), dtype=bool)
        chosen[service.entries] = True
        at_ns, active, inactive = predicted_curve(prediction, chosen, _active_states(self.director))
        polled_ns = service.polled_ns + round(shift_s * NS_PER_S)
        since = int(service.polled_ns[0])  # small numbers stay whole as floats
        return value_at(
            np.asarray(at_ns - since, dtype=np.float64),
            active if is_active else inactive,
            np.asarray(polled_ns - since, dtype=np.float64),
        )

    def _ends(self, of_group: Ints) -> tuple[Ints, Ints]:
        """When entries end at the earliest and at the latest; those of the group, never."""
        entries = self.prediction.entries
        ends_ns = entries["ends_ns"].to_numpy(dtype=np.int64)
        last_ns = entries["last_ns"].to_numpy(dtype=np.int64)
        timed = (entries["cause"] == TIMER).to_numpy(dtype=bool)
        early, late = ends_ns.copy(), ends_ns.copy()
        for (state, waited_s), rows in entries.groupby(["state", "timeout_s"], sort=False):
            shortest_s, longest_s = self._bounds_s(int(str(state)), float(str(waited_s)))
            waiting = timed & entries.index.isin(rows.index)
            early[waiting] = last_ns[waiting] + round(shortest_s * NS_PER_S)
            late[waiting] = (
                _FAR_NS if longest_s is None else last_ns[waiting] + round(longest_s * NS_PER_S)
            )
        early[of_group] = late[of_group] = _FAR_NS
        return early, late

    def _bounds_s(self, state: int, waited_s: float) -> tuple[float, float | None]:
        """How long entries of a state last after their last packet, at least and at most."""
        is_read = if_read(self.director, State(state), waited_s) is not None
        low_s, high_s = (waited_s, waited_s) if is_read else self.measured_s.get(state, (0, None))
        return low_s, None if high_s is None else high_s + self._granule_s(high_s)

    def _granule_s(self, timeout_s: float) -> float:
        known = (self.director.hz,) if self.director.hz else KNOWN_HZ
        return max(granule_s(timeout_s, hz) for hz in known)

    def knowing(self, state: int, timeout: Estimate) -> Services:
        """The services with a timeout that was measured."""
        edges_s = (timeout.value - timeout.uncertainty, timeout.value + timeout.uncertainty)
        return replace(self, measured_s={**self.measured_s, state: edges_s})


def _active_states(director: Director) -> Bools:
    return is_active(director.kernel)


def counted_by_service(
    prediction: Prediction,
    flows: pd.DataFrame,
    services: pd.DataFrame,
    director: Director,
    uncertainty_s: float,
) -> Services:
    """A director's services, their polls (its rows of ``services/``) beside their entries.

    A poll that lists fewer real servers than one before it is left out: a removed real server
    takes its counters with it, while its entries stay.
    """
    ends = flows[_END].reindex(prediction.entries["flow"]).reset_index(drop=True)
    entries_of = ends.groupby(_END).indices
    polled_services = []
    for end, polls in services.dropna(subset=_END).groupby(_END, sort=True):
        summed = polls.groupby("at").agg(
            active=("active", "sum"), inactive=("inactive", "sum"), servers=("active", "size")
        )
        summed = summed[summed["servers"] >= summed["servers"].cummax()]
        if end in entries_of and len(summed) > 1:
            polled_services.append(
                _PolledService(
                    polled_ns=ns(summed.index.to_series()),
                    active=summed["active"].to_numpy(dtype=np.int64),
                    inactive=summed["inactive"].to_numpy(dtype=np.int64),
                    entries=np.asarray(entries_of[end], dtype=np.int64),
                )
            )
    zero_ns = min((int(service.polled_ns[0]) for service in polled_services), default=0)
    return Services(
        prediction=prediction,
        director=director,
        services=tuple(polled_services),
        measured_s={},
        zero_ns=zero_ns,
        uncertainty_s=uncertainty_s,
    )
