"""When a real server of a recording may be rebooted, by all that its directors were seen to hold.

A real server is asked about that had weight 0 at some poll, or was removed from a service and did
not come back. It is its address that counts: all its ports, and all services of all directors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from analyzer.drains.changes import Wanted, changes_of_each
from analyzer.drains.drains import clients_return
from analyzer.drains.reboot import ServerUse, reboot_of
from analyzer.drains.remaining import remaining
from analyzer.drains.spells import service_label
from analyzer.log_clock.instants import reboot_in_log_time
from analyzer.observed.entries import ns
from analyzer.recording.clock import iso
from analyzer.results import SafeToReboot
from analyzer.units import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from analyzer.arrays import Bools
    from analyzer.drains.reboot import Reboot
    from analyzer.drains.remaining import Draining, Remaining
    from analyzer.evidence.evidence import Evidence
    from analyzer.observed.record import DirectorRecord
    from analyzer.recording.director import Director
    from analyzer.recording.manifest import Manifest

LOST_AFTER_S = 15.0
"""A director whose last poll is older than the newest of all by more than this, and by more than
three of its usual intervals, did not answer at the end."""

_USUAL_INTERVALS = 3
_MS = 1_000_000
_NEVER = np.iinfo(np.int64).max


def safe_to_reboot(evidence: Evidence, found: Sequence[Draining]) -> tuple[SafeToReboot, ...]:
    """A row for each real server that was drained, in order of their addresses' first poll.

    Args:
        evidence: of the recording.
        found: the real servers of weight 0 (``remaining.draining``).
    """
    addresses = _drained(evidence)
    unknown = _lost(evidence) if addresses else []
    seen = [_Seen.of(director, evidence, found, addresses) for director in evidence.directors]
    return tuple(_answer(address, evidence.manifest, seen, unknown) for address in addresses)


def _drained(evidence: Evidence) -> list[str]:
    rows = evidence.services
    at_zero = rows.loc[rows["weight"] == 0, "real_server"]
    removed = (address for r in evidence.by_director.values() for address in _removed(r))
    return list(dict.fromkeys([*(str(address) for address in at_zero.unique()), *removed]))


def _removed(record: DirectorRecord) -> dict[str, int]:
    """Addresses of real servers that left the table for good, and since when, Unix time."""
    gone = record.absences[record.absences["to_ns"] == _NEVER]
    return {
        str(server).rpartition(":")[0].strip("[]"): int(from_ns)
        for server, from_ns in zip(gone["server"], gone["from_ns"], strict=True)
    }


def _lost(evidence: Evidence) -> list[str]:
    """Why some directors' tables at the end are not known."""
    polled = {name: np.sort(ns(r.polls["at"])) for name, r in evidence.by_director.items()}
    newest = max((int(at_ns[-1]) for at_ns in polled.values() if len(at_ns)), default=0)
    reasons = []
    for name, at_ns in polled.items():
        if not len(at_ns):
            reasons.append(f"{name} was not polled")
            continue
        usual_s = float(np.median(np.diff(at_ns))) / NS_PER_S if len(at_ns) > 1 else 0.0
        silent_s = (newest - int(at_ns[-1])) / NS_PER_S
        if silent_s > max(LOST_AFTER_S, _USUAL_INTERVALS * usual_s):
            reasons.append(f"{name} did not answer in the last {silent_s:.0f} s")
    return reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenServer:
    """What one director was seen to have of one real server.

    Attributes:
        draining: its services there in which it has weight 0.
        removed_ns: since when it is gone from a service for good, Unix time; None where it is not.
        elsewhere: changes of its entries in none of the services that it drains in.
    """

    draining: Sequence[Draining]
    removed_ns: int | None
    elsewhere: pd.DataFrame

    @property
    def since_ns(self) -> int:
        """Since when it drains, or is removed; 0 where it does neither."""
        return _since_ns(self.draining, self.removed_ns)


def _since_ns(draining: Sequence[Draining], removed_ns: int | None) -> int:
    return max([one.spell.since_ns for one in draining] + [removed_ns or 0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one director was seen to have of each real server, by its address."""

    director: Director
    record: DirectorRecord
    servers: Mapping[str, _SeenServer]

    @classmethod
    def of(
        cls,
        director: Director,
        evidence: Evidence,
        found: Sequence[Draining],
        addresses: Sequence[str],
    ) -> _Seen:
        """That of these real servers."""
        record = evidence.by_director[director.name]
        of_director = [one for one in found if one.director.name == director.name]
        draining = {
            address: [one for one in of_director if one.spell.row.real_server == address]
            for address in addresses
        }
        removed_ns = _removed(record)
        wanted = [
            Wanted(
                has=partial(_elsewhere, address=address, draining=draining[address]),
                since_ns=_since_ns(draining[address], removed_ns.get(address)),
            )
            for address in addresses
        ]
        changes = changes_of_each(record.changes, wanted)
        servers = {
            address: _SeenServer(
                draining=draining[address],
                removed_ns=removed_ns.get(address),
                elsewhere=elsewhere,
            )
            for address, elsewhere in zip(addresses, changes, strict=True)
        }
        return cls(director=director, record=record, servers=servers)


def _answer(
    address: str, manifest: Manifest, seen: Sequence[_Seen], unknown: Sequence[str]
) -> SafeToReboot:
    uses = [use for one in seen for use in _uses(address, one)]
    reboot = reboot_of(address, uses, unknown)
    entries = [use.entries for use in uses]
    gone_by, uncertainty_s = _removal(reboot) if any(entries) else (None, None)
    row = SafeToReboot(
        real_server=address,
        answer="not-known" if not reboot.is_known else "not-safe" if reboot.obstacles else "safe",
        safe_after=None if reboot.after_ns is None else iso(-(-reboot.after_ns // _MS) * _MS),
        gone_by=gone_by,
        uncertainty_s=uncertainty_s,
        entries=None if None in entries else sum(filter(None, entries)),
        why=reboot.obstacles,
        directors=tuple(one.director.name for one in seen),
        all_services=_all_services(manifest),
    )
    return reboot_in_log_time(row, manifest.imported.log_clock)


def _removal(reboot: Reboot) -> tuple[str | None, float | None]:
    """The middle of the interval in which the last entry is removed, and half its width, s."""
    if reboot.after_ns is None or reboot.earliest_ns is None:
        return None, None
    middle_ns = (reboot.earliest_ns + reboot.after_ns) // 2
    return iso(middle_ns), (reboot.after_ns - reboot.earliest_ns) / 2 / NS_PER_S


def _all_services(manifest: Manifest) -> bool:
    """Whether it recorded every service of its directors: a log does, and a watch of no one."""
    named = any(word.split("=")[0] == "--service" for word in manifest.command_line or ())
    return manifest.command == "import" or (manifest.command == "collect" and not named)


def _uses(address: str, seen: _Seen) -> Iterator[ServerUse]:
    """What a director was seen to have of a real server at its last polls."""
    director, record, server = seen.director, seen.record, seen.servers[address]
    rows = record.services[record.services["real_server"] == address]
    yield from _weights(rows, record, director.name)
    if not len(record.entry_polls.at_ns):
        if len(rows) or server.removed_ns is not None:
            yield _unread(address, director, "were not read")
        return
    for one in server.draining:
        if one.left is not None:
            yield _use(address, one.left, one.spell.since_ns, director, one.spell.service)
    since_ns = server.since_ns
    if since_ns > int(record.entry_polls.at_ns[-1]):
        yield _unread(address, director, "were not read after it was drained")
    if server.removed_ns is not None or len(server.elsewhere):  # of services that are no more, too
        left = remaining(server.elsewhere, since_ns, director, record)
        yield _use(address, left, since_ns, director, "a service that it left")


def _elsewhere(changes: pd.DataFrame, *, address: str, draining: Sequence[Draining]) -> Bools:
    """Which changes are of a real server's entries in none of the services that it drains in."""
    chosen = changes["real_server"] == address
    elsewhere = chosen.to_numpy(dtype=bool, na_value=False, copy=True)
    for one in draining:
        elsewhere &= ~one.spell.has(changes)
    return elsewhere


def _weights(rows: pd.DataFrame, record: DirectorRecord, director: str) -> Iterator[ServerUse]:
    """The services that send it new connections at the last poll."""
    for row in rows[rows["at"] == record.services["at"].max()].itertuples(index=False):
        if row.weight != 0:
            text = f"weight {row.weight} on {director} ({service_label(row)})"
            yield ServerUse(
                director=director,
                real_server=str(row.real_server),
                is_draining=False,
                obstacle=text,
            )


def _unread(address: str, director: Director, why: str) -> ServerUse:
    return ServerUse(
        director=director.name,
        real_server=address,
        is_draining=True,
        entries=None,
        obstacle=f"entries of {director.name} {why}",
        is_known=False,
    )


def _use(
    address: str, left: Remaining, since_ns: int, director: Director, service: str
) -> ServerUse:
    who = "clients came back" if clients_return(left) else "traffic went on"
    gone_ns = left.gone_ns or since_ns
    return ServerUse(
        director=director.name,
        real_server=address,
        is_draining=True,
        entries=left.n_left,
        first_gone_ns=int(left.first_ns.max()) if left.n_left else gone_ns,
        last_gone_ns=int(left.last_ns.max()) if left.n_left else gone_ns,
        obstacle=f"{who} on {director.name} ({service})" if left.is_renewed else None,
    )
