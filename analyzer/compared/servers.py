"""Which real server an entry, or a packet, belongs to: as polled, else by the MAC that answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from analyzer.compared.beside import beside
from analyzer.compared.curves import UNKNOWN_SERVER
from analyzer.compared.join import SeenServers
from analyzer.ipvs.states import Flag
from analyzer.parts import cuts, same_flows
from analyzer.parts.columns import Numbering, named, narrowed
from analyzer.wire.services import service_numbers, services_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy.typing as npt

    from analyzer.charts.curves import Curve
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.parted import Parted
    from analyzer.predicted.entries import Prediction
    from analyzer.wire.segments import Segments

    Bools = npt.NDArray[np.bool_]
    Ints = npt.NDArray[np.int64]

MOSTLY = 0.9
"""A MAC stands for the real server of at least so many of the entries that it answered: a poll may
have seen an entry of a port's earlier connection."""

_MOST_ENDS = 1 << 14
"""Services told apart beside a MAC of 48 bits."""

_NEVER = np.iinfo(np.int64).max


def real_servers(
    prediction: Prediction, joined: Parted, evidence: Evidence, observed: list[Curve]
) -> pd.Series:
    """Each predicted entry's real server, by the name that the service lists; categories."""
    listed = {curve.real_server for curve in observed}

    def names(servers: pd.Series) -> pd.Series:
        return _as_listed(servers.fillna(UNKNOWN_SERVER), listed)

    return _of_entries(prediction, joined, evidence, names)


def servers_known(prediction: Prediction, joined: Parted, evidence: Evidence) -> pd.Series:
    """Each predicted entry's real server: as polled, else by the MAC that answered; else <NA>.

    The names are categories.
    """
    return _of_entries(prediction, joined, evidence, lambda servers: servers)


def _of_entries(
    prediction: Prediction,
    joined: Parted,
    evidence: Evidence,
    renamed: Callable[[pd.Series], pd.Series],
) -> pd.Series:
    """Each predicted entry's real server, under another name."""
    answerers = Answerers.of(evidence, joined)
    writer, names = prediction.store.columns(), Numbering()
    flows = prediction.entries["flow"].to_numpy()
    for rows, place in beside(joined, flows, prediction.store):
        entries = prediction.entries.iloc[place]
        servers = SeenServers.of(rows).of_entries(entries)
        if servers.isna().any() and answerers.names:
            flow, first_ns = (entries[name].to_numpy() for name in ("flow", "first_ns"))
            by_mac = answerers.nearest(flow, first_ns, itself=True)
            servers = servers.fillna(by_mac.set_axis(servers.index))
        writer.append({"code": names.numbers_of(renamed(servers))})
    codes = narrowed(writer.finish()["code"], len(names.numbers), prediction.store)
    return named(codes, list(names.numbers))


def _as_listed(servers: pd.Series, listed: set[str]) -> pd.Series:
    """A firewall-mark service lists its servers with port 0, the entries have real ports."""
    portless = {name.rpartition(":")[0]: name for name in listed if name.endswith(":0")}
    if not portless or servers.empty:  # of none, pandas would make a table without columns
        return servers
    renamed = servers.str.rpartition(":")[0].map(portless)
    return servers.where(servers.isin(list(listed)) | renamed.isna(), renamed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answerers:
    """Who answered the connections of a capture.

    Attributes:
        segments: of the capture.
        services: ``services_of`` them.
        table: ``flow, first_ns, replied_by`` of its connections, each once; by flow, then time.
        names: the real server behind each of ``_numbers``; empty where none is known.
    """

    segments: Segments | None
    services: pd.DataFrame
    table: pd.DataFrame
    names: dict[int, str]

    @classmethod
    def of(cls, evidence: Evidence, tracked: Parted) -> Answerers:
        """Those of a recording.

        Args:
            evidence: the recording.
            tracked: entries that were seen, with their real servers.
        """
        captured = evidence.captured
        if captured is None or evidence.segments is None:
            return cls(segments=None, services=pd.DataFrame(), table=pd.DataFrame(), names={})
        segments, table = evidence.segments, captured.connections[_ANSWERED]
        services = services_of(segments)
        names = _servers_of_macs(segments, services, evidence, tracked, table)
        return cls(segments=segments, services=services, table=table, names=names)

    def nearest(self, flow: Ints, at_ns: Ints, *, itself: bool) -> pd.Series:
        """The real server that answered each flow's latest connection; <NA> where not known.

        Args:
            flow: ascending; shape (n,).
            at_ns: shape (n,).
            itself: one that began at the very instant counts too.
        """
        rows = pd.DataFrame({"flow": flow, "at_ns": at_ns})
        if self.segments is None or rows.empty or not self.names:
            return pd.Series(pd.NA, index=rows.index, dtype="string")
        tasks = ((*both, itself) for both in self._of_same_flows(rows))
        found = list(self.segments.store.map(_nearest, tasks))
        by: pd.Series = pd.concat(found).reindex(rows.index)
        return by.map(self.names).astype("string")

    def _of_same_flows(self, rows: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Rows and connections, which are in order of flows, part by part."""
        assert self.segments is not None
        whole, of_row = self.table["flow"].to_numpy(), rows["flow"].to_numpy()
        near = self.table.iloc[same_flows(of_row, whole)]
        flow = near["flow"].to_numpy()
        for part in cuts(flow, self.segments.store.part_rows):
            answered = near.iloc[part]
            by = _numbers(answered, self.segments.flows, self.services)
            yield rows.iloc[same_flows(flow[part], of_row)], answered.assign(by=by)


_ANSWERED = ["flow", "first_ns", "replied_by"]


def _nearest(rows: pd.DataFrame, answered: pd.DataFrame, itself: bool) -> pd.Series:
    """Who answered the latest connection of each row's flow, by the row's index."""
    nearest = pd.merge_asof(
        rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable"),
        answered.sort_values("first_ns"),
        left_on="at_ns",
        right_on="first_ns",
        by="flow",
        allow_exact_matches=itself,
    )
    by: pd.Series = nearest.set_index("row")["by"]
    return by


def _numbers(answered: pd.DataFrame, flows: pd.DataFrame, services: pd.DataFrame) -> pd.Series:
    """The MAC that answered each connection and its service, as one number; <NA> for none.

    A real server listens for each service at a port of its own.
    """
    end = service_numbers(flows.iloc[answered["flow"].to_numpy(dtype=np.int64)], services)
    numbers: pd.Series = answered["replied_by"].astype("Int64") * _MOST_ENDS + end
    return numbers


def _servers_of_macs(
    segments: Segments,
    services: pd.DataFrame,
    evidence: Evidence,
    tracked: Parted,
    table: pd.DataFrame,
) -> dict[int, str]:
    """The real server behind each of ``_numbers``: by entries seen, else by ARP in dr.

    A MAC that answers for several real servers is a router's, or a director's in nat.
    """
    names: dict[int, str] = {}
    if evidence.facts is not None and evidence.forwarding == "dr":
        ports = services["port"].tolist()
        names = {
            mac * _MOST_ENDS + end: f"{ip}:{port}"
            for mac, ip in evidence.facts.neighbours.items()
            for end, port in enumerate(ports)
        }
    parts = [
        _counted(rows, table.iloc[place], segments.flows, services)
        for rows, place in beside(tracked, table["flow"].to_numpy(), segments.store)
    ]
    counted = pd.concat(parts).groupby(["by", "real_server"])["entries"].sum().reset_index()
    total = counted.groupby("by")["entries"].transform("sum")
    mostly = (counted["entries"] > MOSTLY * total).to_numpy(dtype=bool)
    answerers = counted["by"].to_numpy(dtype=np.int64)
    for answerer in answerers.tolist():
        names.pop(answerer, None)
    known = zip(answerers[mostly].tolist(), counted["real_server"][mostly], strict=True)
    return names | dict(known)


def _counted(
    tracked: pd.DataFrame, answered: pd.DataFrame, flows: pd.DataFrame, services: pd.DataFrame
) -> pd.DataFrame:
    """How many entries of each real server each of ``_numbers`` answered."""
    near = answered[answered["flow"].isin(tracked["flow"])].sort_values("first_ns")
    seen = pd.merge_asof(
        tracked[["flow", "appeared_ns", "real_server"]].sort_values("appeared_ns"),
        near.assign(by=_numbers(near, flows, services)),
        left_on="appeared_ns",
        right_on="first_ns",
        by="flow",
    ).dropna(subset=["by"])
    return seen.groupby(["by", "real_server"]).size().reset_index(name="entries")


def servers_by_segment(
    segments: Segments, tracked: pd.DataFrame, answerers: Answerers, margin_ns: int
) -> pd.Series:
    """The real server of the entry that each segment finds; <NA> where that is not known.

    An entry that a poll first saw within the margin before a SYN may be the one that this SYN made:
    the poll's instant is no better known.

    Args:
        segments: of whole flows, that passed one director.
        tracked: what was seen of their entries.
        answerers: of the recording.
        margin_ns: how well the instants of polls and packets can be compared.
    """
    rows = pd.DataFrame({"flow": segments.flow, "at_ns": segments.at_ns})
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    sooner = rows.assign(at_ns=segments.at_ns - np.where(is_syn, margin_ns, 0))
    lives = tracked[["flow", "appeared_ns", "seen_ns", "real_server"]]
    before = _life_about(sooner, lives, "backward")
    after = _life_about(rows, lives, "forward")
    last_seen_ns = before["seen_ns"].fillna(_NEVER).to_numpy(dtype=np.int64)
    is_same = before["real_server"].notna() & (last_syn_ns(segments) <= last_seen_ns)
    is_next = ~is_same & ~is_syn  # the entry that a SYN since then made, and that was seen later
    servers = before["real_server"].where(is_same).fillna(after["real_server"].where(is_next))
    by_mac = answerers.nearest(segments.flow, segments.at_ns, itself=False)
    return servers.fillna(by_mac).astype("string")


def _life_about(
    rows: pd.DataFrame, lives: pd.DataFrame, direction: Literal["backward", "forward"]
) -> pd.DataFrame:
    """The latest tracked entry of each row's flow that had appeared, or the first to appear."""
    rows = rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable")
    return (
        pd.merge_asof(
            rows,
            lives.sort_values("appeared_ns"),
            left_on="at_ns",
            right_on="appeared_ns",
            by="flow",
            direction=direction,
            allow_exact_matches=direction == "backward",
        )
        .set_index("row")
        .sort_index()
    )


def last_syn_ns(segments: Segments) -> Ints:
    """When each segment's flow had its last SYN before it; 0 if it had none; shape (n,)."""
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    rows = np.arange(len(is_syn))
    latest = np.maximum.accumulate(np.where(is_syn, rows, -1))
    before = np.r_[-1, latest[:-1]][: len(rows)]
    ours = (before >= 0) & (segments.flow[before] == segments.flow)
    return np.where(ours, segments.at_ns[before], 0)
