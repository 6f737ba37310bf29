"""Which real server of which service an entry belongs to.

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
        """``192.168.10.21:80``; the address alone where any port is meant."""
        server = self.server
        return host_port(server.address, server.port) if server.port else server.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """An entry and the places that it may be counted at: indices into ``Sorted.places``."""

    entry: Entry
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sorted:
    """Entries by what they belong to.

    Attributes:
        places: every real server of every service.
        bound: entries of these.
        orphans: entries whose real server no service has now that they fit.
        templates: of persistence; they are no connections, and no counter has them.
    """

    places: tuple[Place, ...]
    bound: tuple[Bound, ...]
    orphans: tuple[Entry, ...]
    templates: tuple[Entry, ...]

    def of_service(self, name: str) -> list[Entry]:
        """The entries that may be of a service, by its ``name_of``."""
        own = {n for n, place in enumerate(self.places) if name_of(place.service) == name}
        return [one.entry for one in self.bound if not own.isdisjoint(one.at)]

    def groups(self) -> list[set[int]]:
        """Places together between which an entry cannot be told; most are alone."""
        group_of = [{n} for n in range(len(self.places))]
        for one in self.bound:
            first = group_of[one.at[0]]
            for other in one.at[1:]:
                if other in first:
                    continue
                first |= group_of[other]
                for n in group_of[other]:
                    group_of[n] = first
        return list({id(group): group for group in group_of}.values())


def sort_entries(services: Sequence[Service], entries: Iterable[Entry]) -> Sorted:
    """Find each entry's place."""
    places = [Place(service, server) for service in services for server in service.destinations]
    index = _Index()
    for number, place in enumerate(places):
        index.add(number, place)
    bound, orphans, templates = [], [], []
    for entry in entries:
        if is_template(entry):
            templates.append(entry)
        elif at := index.find(entry):
            bound.append(Bound(entry=entry, at=at))
        else:
            orphans.append(entry)
    return Sorted(
        places=tuple(places),
        bound=tuple(bound),
        orphans=tuple(orphans),
        templates=tuple(templates),
    )


@dataclass(slots=True)
class _Index:
    """Places by what an entry of theirs has, each with its server's port."""

    exact: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(list))
    ftp: dict[Hashable, list[int]] = field(default_factory=lambda: defaultdict(list))
    any_port: dict[Hashable, list[tuple[int, int]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    marked: dict[Hashable, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, number: int, place: Place) -> None:
        """Enter a place."""
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
        """The places that an entry may be counted at; none of an orphan."""
        ends = (entry.vip, entry.port, entry.real_server, entry.real_port)
        own = self.exact.get((entry.protocol, *ends)) or self._ftp_data(entry)
        own = own or _fitting(self.any_port, (entry.protocol, entry.vip, entry.real_server), entry)
        return (*own, *_fitting(self.marked, entry.real_server, entry))

    def _ftp_data(self, entry: Entry) -> list[int]:
        """Data connections are bound to the control connection's real server (ip_vs_ftp)."""
        is_data = entry.port == _FTP_DATA or entry.port >= _FIRST_PASSIVE
        if entry.protocol != "TCP" or not is_data or entry.real_port != entry.port:
            return []
        return self.ftp.get((entry.vip, entry.real_server), [])


def _fitting(
    index: Mapping[Hashable, list[tuple[int, int]]], key: Hashable, entry: Entry
) -> list[int]:
    """Where a service takes several ports: the server's own port, else the one that was asked for.

    A server without a port, or any server under persistence, gets the packet's
    (``ip_vs_schedule``, ``ip_vs_sched_persist``).
    """
    known = index.get(key, [])
    own = [number for number, port in known if port == entry.real_port]
    if own or entry.real_port != entry.port:
        return own
    return [number for number, _ in known]
