"""Which real server an entry, or a packet, belongs to: as polled, else by the MAC that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from analyzer.compared.curves import UNKNOWN_SERVER
from analyzer.compared.join import servers_seen
from analyzer.ipvs.states import Flag
from analyzer.parts import cuts, same_flows
from analyzer.wire.connections import connections
from analyzer.wire.segments import without_copies

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from analyzer.charts.curves import Curve
    from analyzer.evidence.evidence import Evidence
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
    prediction: Prediction, joined: pd.DataFrame, evidence: Evidence, observed: list[Curve]
) -> pd.Series:
    """Each predicted entry's real server, by the name that the service lists."""
    servers = servers_known(prediction, joined, evidence).fillna(UNKNOWN_SERVER)
    return _as_listed(servers, {curve.real_server for curve in observed})


def servers_known(prediction: Prediction, joined: pd.DataFrame, evidence: Evidence) -> pd.Series:
    """Each predicted entry's real server: as polled, else by the MAC that answered; else <NA>."""
    entries = prediction.entries
    servers = servers_seen(joined, entries)
    if servers.isna().any():
        flow, first_ns = entries["flow"], entries["first_ns"]
        servers = servers.fillna(_answered_by(flow, first_ns, evidence, joined, itself=True))
    return servers


def _as_listed(servers: pd.Series, listed: set[str]) -> pd.Series:
    """A firewall-mark service lists its servers with port 0, the entries have real ports."""
    portless = {name.rpartition(":")[0]: name for name in listed if name.endswith(":0")}
    if not portless or servers.empty:  # of none, pandas would make a table without columns
        return servers
    renamed = servers.str.rpartition(":")[0].map(portless)
    return servers.where(servers.isin(list(listed)) | renamed.isna(), renamed)


def _answered_by(
    flow: pd.Series, at_ns: pd.Series, evidence: Evidence, tracked: pd.DataFrame, *, itself: bool
) -> pd.Series:
    """The real server that answered each flow's latest connection; <NA> where not known.

    ``itself``: one that began at the very instant counts too.
    """
    rows = pd.DataFrame({"flow": flow.to_numpy(), "at_ns": at_ns.to_numpy()})
    segments = evidence.segments
    if segments is None or rows.empty:
        return pd.Series(pd.NA, index=rows.index, dtype="string")
    once = segments.only(without_copies(segments, evidence.forwarder_macs))
    answered = connections(once)[["flow", "first_ns", "replied_by"]]
    answered = answered.assign(by=_answerers(answered, segments.flows))
    names = _servers_of_macs(answered.sort_values("first_ns"), evidence, tracked)
    if not names:
        return pd.Series(pd.NA, index=rows.index, dtype="string")
    tasks = ((*both, itself) for both in _of_same_flows(rows, answered, segments))
    found = list(segments.store.map(_nearest, tasks))
    by: pd.Series = pd.concat(found).reindex(rows.index)
    return by.map(names).astype("string")


def _of_same_flows(
    rows: pd.DataFrame, answered: pd.DataFrame, segments: Segments
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Both tables, which are in order of flows, part by part."""
    flow, of_row = answered["flow"].to_numpy(), rows["flow"].to_numpy()
    for part in cuts(flow, segments.store.part_rows):
        yield rows.iloc[same_flows(flow[part], of_row)], answered.iloc[part]


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


def _ends_of(flows: pd.DataFrame) -> Ints:
    """The number of each flow's service; shape (flows,)."""
    number = flows.groupby(["protocol", "vip", "port"], sort=False).ngroup()
    return np.asarray(number, dtype=np.int64)


def _answerers(answered: pd.DataFrame, flows: pd.DataFrame) -> pd.Series:
    """The MAC that answered each connection and its service, as one number; <NA> for none.

    A real server listens for each service at a port of its own.
    """
    end = _ends_of(flows)[answered["flow"].to_numpy(dtype=np.int64)]
    numbers: pd.Series = answered["replied_by"].astype("Int64") * _MOST_ENDS + end
    return numbers


def _servers_of_macs(
    answered: pd.DataFrame, evidence: Evidence, tracked: pd.DataFrame
) -> dict[int, str]:
    """The real server behind each of ``_answerers``: by entries seen, else by ARP in dr.

    A MAC that answers for several real servers is a router's, or a director's in nat.
    """
    seen = pd.merge_asof(
        tracked[["flow", "appeared_ns", "real_server"]].sort_values("appeared_ns"),
        answered,
        left_on="appeared_ns",
        right_on="first_ns",
        by="flow",
    ).dropna(subset=["by"])
    names: dict[int, str] = {}
    if evidence.facts is not None and evidence.segments and evidence.forwarding == "dr":
        flows = evidence.segments.flows
        ports = dict(zip(_ends_of(flows).tolist(), flows["port"].tolist(), strict=True))
        names = {
            mac * _MOST_ENDS + end: f"{ip}:{port}"
            for mac, ip in evidence.facts.neighbours.items()
            for end, port in ports.items()
        }
    counted = seen.groupby(["by", "real_server"]).size().reset_index(name="entries")
    total = counted.groupby("by")["entries"].transform("sum")
    mostly = (counted["entries"] > MOSTLY * total).to_numpy(dtype=bool)
    answerers = counted["by"].to_numpy(dtype=np.int64)
    for answerer in answerers.tolist():
        names.pop(answerer, None)
    known = zip(answerers[mostly].tolist(), counted["real_server"][mostly], strict=True)
    return names | dict(known)


def servers_by_segment(
    segments: Segments, tracked: pd.DataFrame, evidence: Evidence, margin_ns: int
) -> pd.Series:
    """The real server of the entry that each segment finds; <NA> where that is not known.

    An entry that a poll first saw within the margin before a SYN may be the one that this SYN made:
    the poll's instant is no better known.

    Args:
        segments: that passed one director.
        tracked: what was seen of its entries.
        evidence: the recording.
        margin_ns: how well the instants of polls and packets can be compared.
    """
    rows = pd.DataFrame({"flow": segments.flow, "at_ns": segments.at_ns})
    is_syn = (segments.flag == Flag.SYN) & segments.to_vip
    sooner = rows.assign(at_ns=segments.at_ns - np.where(is_syn, margin_ns, 0))
    before = _life_about(sooner, tracked, "backward")
    after = _life_about(rows, tracked, "forward")
    last_seen_ns = before["seen_ns"].fillna(_NEVER).to_numpy(dtype=np.int64)
    is_same = before["real_server"].notna() & (last_syn_ns(segments) <= last_seen_ns)
    is_next = ~is_same & ~is_syn  # the entry that a SYN since then made, and that was seen later
    servers = before["real_server"].where(is_same).fillna(after["real_server"].where(is_next))
    by_mac = _answered_by(rows["flow"], rows["at_ns"], evidence, tracked, itself=False)
    return servers.fillna(by_mac).astype("string")


def _life_about(
    rows: pd.DataFrame, tracked: pd.DataFrame, direction: Literal["backward", "forward"]
) -> pd.DataFrame:
    """The latest tracked entry of each row's flow that had appeared, or the first to appear."""
    rows = rows.rename_axis("row").reset_index().sort_values("at_ns", kind="stable")
    return (
        pd.merge_asof(
            rows,
            tracked[["flow", "appeared_ns", "seen_ns", "real_server"]].sort_values("appeared_ns"),
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
