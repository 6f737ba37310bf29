"""The service and real server that an entry belongs to.

An entry's line has the packet's own protocol, address and port and the real server, but neither
its service nor a firewall mark. The kernel looks a service up by mark, then by protocol, address
and port, then as FTP data, then with port 0 (``ip_vs_service_find``), and an entry keeps the real
server that it was bound to. So an entry belongs to a service that it fits and that has its real
server; where several do, to one of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from analyzer.health.model import name_of
from analyzer.ipvs.addresses import host_port
from analyzer.ipvs.counting import is_template

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from analyzer.ipvs.proc.formats import Destination, Entry, Service

_FTP, _FTP_DATA, _FIRST_PASSIVE = 21, 20, 1024


class Place(NamedTuple):
    """A real server of a service."""

    service: Service
    server: Destination

    @property
    def name(self) -> str:
        """``192.168.10.21:80 of TCP 192.168.10.2:80``."""
        return f"{self.server_name} of {name_of(self.service)}"

    @property
    def server_name(self) -> str:
        """``192.168.10.21:80``; only the address if any port is meant."""
        server = self.server
        return host_port(server.address, server.port) if server.port else server.address


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundEntry:
    """An entry and the places that may count it: indices into ``OwnedEntries.places``."""

    entry: Entry
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedEntries:
    """A director's entries by what they belong to.

    Attributes:
        places: every real server of every service.
        bound: entries of these places.
        orphans: entries whose real server is in no service that they fit now.
        templates: persistence templates; they are no connections, and no counter has them.
    """

    places: tuple[Place, ...]
    bound: tuple[BoundEntry, ...]
    orphans: tuple[Entry, ...]
    templates: tuple[Entry, ...]

    def of_service(self, name: str) -> list[Entry]:
        """The entries that may belong to a service, given its ``name_of``."""
        at = {n for n, place in enumerate(self.places) if name_of(place.service) == name}
        return [bound.entry for bound in self.bound if not at.isdisjoint(bound.at)]

    def groups(self) -> list[set[int]]:
        """Groups of places that may count the same entries; most groups have one place."""
        group_of = [{n} for n in range(len(self.places))]
        for bound in self.bound:
            first = group_of[bound.at[0]]
            for other in bound.at[1:]:
                if other in first:
                    continue
                first |= group_of[other]
                for n in group_of[other]:
                    group_of[n] = first
        return list({id(group): group for group in group_of}.values())


def sort_entries(services: Sequence[Service], entries: Iterable[Entry]) -> OwnedEntries:
    """Find the places of each entry."""
    places = [Place(service, server) for service in services for server in service.destinations]
    index = _Index()
    for number, place in enumerate(places):
        index.add(number, place)
    bound, orphans, templates = [], [], []
    for entry in entries:
        if is_template(entry):
            templates.append(entry)
        elif at := index.find(entry):
            bound.append(BoundEntry(entry=entry, at=at))
        else:
            orphans.append(entry)
    return OwnedEntries(
        places=tuple(places),
        bound=tuple(bound),
        orphans=tuple(orphans),
        templates=tuple(templates),
    )


@dataclass(slots=True)
class _Index:
    """Places by the fields of their entries, each with its server's port."""

    exact: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(list))
    ftp: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(list))
    any_port: dict[Hashable, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    marked: dict[Hashable, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, number: int, place: Place) -> None:
        """Add a place."""
        service, server = place
        if service.address is None:
            self.marked[server.address].append((number, server.port))
        elif not service.port:
            key = (service.protocol, service.address, server.address)
            self.any_port[key].append((number, server.port))
        else:
            ends = (service.address, service.port, server.address, server.port)
            self.exact[service.protocol, *ends].append(number)
            if (service.protocol, service.port) == ("TCP", _FTP) and server.forwarding == "nat":
                self.ftp[service.address, server.address].append(number)

    def find(self, entry: Entry) -> tuple[int, ...]:
        """The places that may count an entry; none for an orphan."""
        ends = (entry.vip, entry.port, entry.real_server, entry.real_port)
        at = self.exact.get((entry.protocol, *ends)) or self._ftp_data(entry)
        at = at or _fitting(self.any_port, (entry.protocol, entry.vip, entry.real_server), entry)
        return (*at, *_fitting(self.marked, entry.real_server, entry))

    def _ftp_data(self, entry: Entry) -> list[int]:
        """Data connections are bound to the control connection's real server (ip_vs_ftp)."""
        is_data = entry.port == _FTP_DATA or entry.port >= _FIRST_PASSIVE
        if entry.protocol != "TCP" or not is_data or entry.real_port != entry.port:
            return []
        return self.ftp.get((entry.vip, entry.real_server), [])


def _fitting(
    index: Mapping[Hashable, list[tuple[int, int]]], key: Hashable, entry: Entry
) -> list[int]:
    """The places of a service with several ports: by the server's port, else the packet's.

    A server without a port, or any server under persistence, gets the packet's
    (``ip_vs_schedule``, ``ip_vs_sched_persist``).
    """
    known = index.get(key, [])
    same_port = [number for number, port in known if port == entry.real_port]
    if same_port or entry.real_port != entry.port:
        return same_port
    return [number for number, _ in known]
