"""Segments that met real servers of weight 0: SYNs that end an entry, and those that make none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.ipvs.states import Flag
from analyzer.ipvs.versions import nodest_in_any_reuse_mode
from analyzer.predicted.weights import of_flow
from analyzer.wire.services import service_numbers, services_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from analyzer.evidence.evidence import Evidence
    from analyzer.predicted.weights import Service, Weights
    from analyzer.recording.director import Director
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weightless:
    """What weights of 0 make of a director's segments.

    Attributes:
        weights: of its real servers, as polled.
        ends: the services of the capture.
        has_templates: it has a persistent service, whose templates lead to their real servers
            whatever the weights.
        expires: SYNs end entries whose real server has weight 0.
    """

    weights: Mapping[Service, dict[str, Weights]]
    ends: pd.DataFrame
    has_templates: bool
    expires: bool

    @classmethod
    def of(
        cls,
        weights: Mapping[Service, dict[str, Weights]],
        segments: Segments,
        director: Director,
        evidence: Evidence,
    ) -> Weightless:
        """By the director's settings; the segments are all that passed it."""
        reuses = director.conn_reuse_mode != 0 or nodest_in_any_reuse_mode(director.kernel)
        return cls(
            weights=weights,
            ends=services_of(segments),
            has_templates=_has_templates(evidence, director),
            expires=director.expire_nodest_conn and reuses,
        )

    def masks(
        self, segments: Segments, tracked: pd.DataFrame, servers: pd.Series, margin_ns: int
    ) -> dict[str, Bools]:
        """``Handling.expire_nodest`` and ``no_server`` of some whole flows.

        Args:
            segments: of them.
            tracked: what was seen of their entries.
            servers: the real server of the entry that each segment finds.
            margin_ns: how well the instants of polls and packets can be compared.
        """
        services = _rows_by_service(segments, self.ends, self.weights)
        masks = {} if self.has_templates else {"no_server": _no_server(segments, services)}
        if self.expires:
            masks["expire_nodest"] = _expire_nodest(segments, services, servers, tracked, margin_ns)
        return masks


def _expire_nodest(
    segments: Segments,
    services: list[tuple[dict[str, Weights], Ints]],
    servers: pd.Series,
    tracked: pd.DataFrame,
    margin_ns: int,
) -> Bools:
    """SYNs to an entry whose real server surely has weight 0.

    Where a SYN came while the weight was being changed, the polls decide which it was: the entry
    went to another real server by it, or it did not.
    """
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    chosen = np.zeros(len(is_syn), dtype=bool)
    moved = _moved(segments, is_syn, tracked, margin_ns)
    for service, of_service in services:
        for server, weight in service.items():
            theirs = (servers == server).to_numpy(dtype=bool, na_value=False)
            rows = of_service[is_syn[of_service] & theirs[of_service]]
            at_ns = segments.at_ns[rows]
            unsure = ~weight.surely(at_ns, zero=True) & ~weight.surely(at_ns, zero=False)
            chosen[rows] = weight.surely(at_ns, zero=True) | (unsure & moved[rows])
    return chosen


def _no_server(segments: Segments, services: list[tuple[dict[str, Weights], Ints]]) -> Bools:
    """Segments that came while surely no real server of their service had a weight."""
    chosen = np.zeros(len(segments.flow), dtype=bool)
    for service, rows in services:
        at_ns = segments.at_ns[rows]
        chosen[rows] = np.logical_and.reduce(
            [weight.surely(at_ns, zero=True) for weight in service.values()]
        )
    return chosen


def _rows_by_service(
    segments: Segments, ends: pd.DataFrame, weights: Mapping[Service, dict[str, Weights]]
) -> list[tuple[dict[str, Weights], Ints]]:
    """The services that the segments' flows belong to, each with the segments' rows."""
    if not len(segments.flow):
        return []
    first, last = int(segments.flow[0]), int(segments.flow[-1])
    number = service_numbers(segments.flows.iloc[first : last + 1], ends)[segments.flow - first]
    services = []
    for each, (protocol, vip, port) in enumerate(ends.itertuples(index=False)):
        service = of_flow(weights, str(protocol), str(vip), int(port))
        rows = np.flatnonzero(number == each)
        if service and len(rows):
            services.append((service, rows))
    return services


def _moved(segments: Segments, is_syn: Bools, tracked: pd.DataFrame, margin_ns: int) -> Bools:
    """SYNs between two polls of which one saw the entry at one real server, the next at another."""
    moved = np.zeros(len(is_syn), dtype=bool)
    tracked = tracked.sort_values(["flow", "appeared_ns"])
    later = tracked.groupby("flow")[["real_server", "appeared_ns"]].shift(-1)
    continues = (later["appeared_ns"] == tracked["absent_ns"]).fillna(value=False)
    elsewhere = (later["real_server"] != tracked["real_server"]).fillna(value=False)
    chosen = tracked[(continues & elsewhere).to_numpy(dtype=bool)]
    spans = pd.DataFrame(
        {
            "flow": chosen["flow"].to_numpy(dtype=np.int64),
            "begin_ns": chosen["seen_ns"].to_numpy(dtype=np.int64, na_value=0) - margin_ns,
            "end_ns": chosen["absent_by_ns"].to_numpy(dtype=np.int64) + margin_ns,
        }
    )
    syns = pd.DataFrame({"row": np.flatnonzero(is_syn)})
    syns = syns.assign(flow=segments.flow[syns["row"]], at_ns=segments.at_ns[syns["row"]])
    polled = pd.merge_asof(
        syns.sort_values("at_ns"),
        spans.astype({"end_ns": "Int64"}).sort_values("begin_ns"),
        left_on="at_ns",
        right_on="begin_ns",
        by="flow",
    )
    moved[polled["row"][polled["at_ns"] <= polled["end_ns"].fillna(0)]] = True
    return moved


def _has_templates(evidence: Evidence, director: Director) -> bool:
    """Whether the director has a persistent service: its templates have no client port.

    A template leads to its real server whatever the weight.
    """
    changes = evidence.by_director[director.name].changes
    return any(bool((rows["client_port"] == 0).any()) for rows in changes)
