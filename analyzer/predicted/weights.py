"""Which real servers had weight 0 when: by the polls of services, and by events between them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from analyzer.observed.absences import COMMAND_NS
from analyzer.observed.entries import ns
from analyzer.units import NS_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy.typing as npt
    import pandas as pd

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

Service = tuple[str, str, int]
"""Protocol, VIP and port as polled; of a firewall-mark service no VIP, and the mark."""

NO_VIP = ""

_WEIGHT_EVENTS = {"weight": re.compile(r"(\d+)"), "server-edited": re.compile(r"weight (\d+)")}
_TOOK = re.compile(r"done in (\d{1,9}) ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightChange:
    """A weight that became 0 or ceased to be, at some time from ``from_ns`` to ``until_ns``."""

    from_ns: int
    until_ns: int
    is_zero: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Whether one real server of one service had weight 0, over time."""

    starts_at_zero: bool
    changes: tuple[WeightChange, ...]

    def surely(self, at_ns: Ints, *, zero: bool) -> Bools:
        """Whether it surely had weight 0, or surely another, at each instant."""
        held = np.full(len(at_ns), self.starts_at_zero == zero)
        for change in self.changes:
            held &= at_ns < change.from_ns
            held |= (at_ns > change.until_ns) & (change.is_zero == zero)
        return held


def weights_of(
    services: pd.DataFrame, events: pd.DataFrame, margin_ns: int
) -> dict[Service, dict[str, Weights]]:
    """The weights of each service's real servers on one director, ``address:port`` each.

    Args:
        services: the director's polls of services.
        events: the recording's.
        margin_ns: how well the instants of polls and packets can be compared.
    """
    if not (services["weight"] == 0).any():
        return {}
    edits = list(_edits(events))
    rows = services.assign(
        at_ns=ns(services["at"]),
        server=services["real_server"] + ":" + services["real_port"].astype("string"),
        vip=services["vip"].astype("string").fillna(NO_VIP),
        port=services["port"]
        .where(services["vip"].notna(), services["fwmark"])
        .fillna(0)
        .astype("int64"),
        protocol=services["protocol"].astype("string"),
    )
    by_service: dict[Service, dict[str, Weights]] = {}
    for key, group in rows.groupby(["protocol", "vip", "port", "server"]):
        protocol, vip, port, server = map(str, key)
        polled = group.sort_values("at_ns")
        is_zero = (polled["weight"] == 0).to_numpy(dtype=bool)
        weights = _over_time(polled["at_ns"].to_numpy(dtype=np.int64), is_zero, edits, margin_ns)
        by_service.setdefault((protocol, vip, int(port)), {})[server] = weights
    return by_service


def of_flow(
    weights: Mapping[Service, dict[str, Weights]], protocol: str, vip: str, port: int
) -> dict[str, Weights]:
    """The real servers of the service that a flow belongs to; none where that is not known."""
    exact = [weights.get((protocol, vip, each)) for each in (port, 0)]
    marked = [servers for service, servers in weights.items() if service[1] == NO_VIP]
    known = [servers for servers in exact if servers] or (marked if len(marked) == 1 else [])
    return known[0] if known else {}


def _over_time(
    at_ns: Ints, is_zero: Bools, edits: list[tuple[int, int, bool]], margin_ns: int
) -> Weights:
    changes = []
    for after in np.flatnonzero(np.diff(is_zero)) + 1:
        first_ns, last_ns = int(at_ns[after - 1]), int(at_ns[after])
        zero = bool(is_zero[after])
        known = [
            (began_ns, done_ns)
            for began_ns, done_ns, to_zero in edits
            if to_zero == zero and began_ns <= last_ns and done_ns >= first_ns
        ]
        if len(known) == 1:
            first_ns, last_ns = max(first_ns, known[0][0]), min(last_ns, known[0][1])
        changes.append(
            WeightChange(from_ns=first_ns - margin_ns, until_ns=last_ns + margin_ns, is_zero=zero)
        )
    return Weights(starts_at_zero=bool(is_zero[0]), changes=tuple(changes))


def _edits(events: pd.DataFrame) -> Iterator[tuple[int, int, bool]]:
    """Orders to change a weight: when given, when done, and whether to 0."""
    rows = events[events["kind"].isin(list(_WEIGHT_EVENTS))]
    for at_ns, kind, detail in zip(ns(rows["at"]), rows["kind"], rows["detail"], strict=True):
        weight = _WEIGHT_EVENTS[kind].search(str(detail))
        took = _TOOK.search(str(detail))
        if weight:
            done_ns = int(at_ns) + (int(took[1]) * NS_PER_MS if took else COMMAND_NS)
            yield int(at_ns) - (0 if took else COMMAND_NS), done_ns, int(weight[1]) == 0
