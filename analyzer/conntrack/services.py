"""Services of a netfilter director: connection tracking has none, but its entries show them.

A real server is known by its entries: from the first that it answers to the end of the run. Counted
as active are entries of connections that go on, as the kernel's state says; all others, those that
only wait for their timeout, as inactive. Weights and schedulers are in rules that are not read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analyzer.conntrack.proc import OFFLOAD
from analyzer.conntrack.states import ACTIVE_STATES
from analyzer.ipvs.proc.entry_rows import entries_of
from analyzer.ipvs.proc.formats import Destination, Service

if TYPE_CHECKING:
    from analyzer.ipvs.proc.entry_rows import Rows
    from analyzer.ipvs.proc.formats import Entry

ACTIVE = frozenset({*(state.name for state in ACTIVE_STATES), OFFLOAD})
"""States of connections that go on."""

SCHEDULER = "netfilter"
"""Stands for a scheduler: some rule of the director's chose the real server."""

MOST_SERVERS = 100_000
"""Of all services; entries of further ones are not counted, whatever a director prints."""

_UNKNOWN_WEIGHT = 1

_VirtualKey = tuple[str, str, int]
_ServerKey = tuple[str, int]
_SERVER_FIELDS = (
    *("protocol", "ipv6", "vip_high", "vip_low", "port"),
    *("real_server_high", "real_server_low", "real_port"),
)


class ServicesSeen:
    """Folds reads of the table into services, whose real servers stay once they were seen."""

    def __init__(self) -> None:
        self._servers: dict[_VirtualKey, set[_ServerKey]] = {}
        self._known = 0

    def update(self, rows: Rows) -> tuple[Service, ...]:
        """The services and their counts by a read.

        Args:
            rows: ``ENTRY``, the entries that are there.
        """
        counts: Counter[tuple[_VirtualKey, _ServerKey, bool]] = Counter()
        for entry, is_active, count in _grouped(rows):
            virtual = (entry.protocol, entry.vip, entry.port)
            server = (entry.real_server, entry.real_port)
            if self._is_known(virtual, server):
                counts[virtual, server, is_active] += count
        return tuple(
            Service(
                protocol=virtual[0],
                address=virtual[1],
                port=virtual[2],
                fwmark=None,
                scheduler=SCHEDULER,
                destinations=tuple(
                    Destination(
                        address=server[0],
                        port=server[1],
                        forwarding="nat",
                        weight=_UNKNOWN_WEIGHT,
                        active=counts[virtual, server, True],
                        inactive=counts[virtual, server, False],
                    )
                    for server in sorted(servers)
                ),
            )
            for virtual, servers in self._servers.items()
        )

    def _is_known(self, virtual: _VirtualKey, server: _ServerKey) -> bool:
        servers = self._servers.get(virtual, set())
        if server in servers:
            return True
        if self._known >= MOST_SERVERS:
            return False
        self._servers.setdefault(virtual, servers).add(server)
        self._known += 1
        return True


def _grouped(rows: Rows) -> list[tuple[Entry, bool, int]]:
    """An entry of each real server, whether it is an active one, and how many such there are."""
    if not len(rows):
        return []
    columns = {name: rows[name] for name in _SERVER_FIELDS if name != "protocol"}
    columns["protocol"] = np.ascontiguousarray(rows["protocol"]).view("u8")
    columns["active"] = np.isin(rows["state"], [state.encode() for state in ACTIVE])
    columns["place"] = np.arange(len(rows))
    keys = [*_SERVER_FIELDS, "active"]
    groups = pd.DataFrame(columns).groupby(keys, sort=False)["place"].agg(["first", "size"])
    places = groups["first"].to_numpy()
    active = groups.index.get_level_values("active").to_numpy()
    return list(
        zip(entries_of(rows[places]), active.tolist(), groups["size"].tolist(), strict=True)
    )
