"""Which real server each predicted entry belongs to: as polled, else by the MAC that answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from analyzer import curves
from analyzer.join import servers_seen
from analyzer.wire.connections import connections
from analyzer.wire.segments import without_copies

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from analyzer.courses import Curve
    from analyzer.evidence import Evidence
    from analyzer.predict import (
        Prediction,
    )

    Bools = npt.NDArray[np.bool_]


def real_servers(
    prediction: Prediction, joined: pd.DataFrame, evidence: Evidence, observed: list[Curve]
) -> pd.Series:
    """Each predicted entry's real server: as polled, else by the MAC that answered (dr)."""
    servers = servers_seen(joined, prediction.entries)
    if servers.isna().any():
        servers = servers.fillna(_servers_by_mac(prediction, evidence))
    servers = servers.fillna(curves.UNKNOWN_SERVER)
    return _as_listed(servers, {curve.real_server for curve in observed})


def _as_listed(servers: pd.Series, listed: set[str]) -> pd.Series:
    """A firewall-mark service lists its servers with port 0, the entries have real ports."""
    portless = {name.rpartition(":")[0]: name for name in listed if name.endswith(":0")}
    if not portless:
        return servers
    renamed = servers.str.rpartition(":")[0].map(portless)
    return servers.where(servers.isin(list(listed)) | renamed.isna(), renamed)


def _servers_by_mac(prediction: Prediction, evidence: Evidence) -> pd.Series:
    nothing = pd.Series(pd.NA, index=prediction.entries.index, dtype="string")
    segments, packets = evidence.segments, evidence.packets
    if segments is None or packets is None or evidence.forwarding != "dr":
        return nothing
    port = evidence.service.port if evidence.service else 0
    names = {mac: f"{ip}:{port}" for mac, ip in packets.neighbours.items()}
    once = segments.only(without_copies(segments, evidence.forwarder_macs))
    answered = connections(once).drop_duplicates("flow").set_index("flow")
    return prediction.entries["flow"].map(answered["replied_by"]).map(names).astype("string")
