"""The document of ``loadgen verify --json``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analyzer import documents
from analyzer.health import verdict
from analyzer.health.model import Check, Health
from analyzer.health.places import sort_entries
from analyzer.ipvs.states import Timeouts
from analyzer.ipvs.table_status import TableStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectorRow:
    """What was read from a director; null where that failed.

    ``templates`` and ``orphans`` are those entries that are no connection of a configured real
    server.
    """

    director: str
    link: str | None
    kernel: str | None
    hz: int | None
    timeouts_s: Timeouts | None
    services: int
    entries: int | None
    sample_of: int | None
    connections_per_s: float | None
    vrrp_state: str | None
    sync_daemon: str | None
    conn_max: int | None
    entry_bytes: int | None
    table_status: TableStatus | None
    templates: int | None
    orphans: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyDocument(documents.JsonDocument):
    """The checks of some directors; ``lab`` is null where they are no lab's."""

    verdict: str
    lab: str | None
    directors: tuple[DirectorRow, ...]
    checks: tuple[Check, ...]


def to_json(
    results: Sequence[Check], healths: Sequence[Health], lab: str | None = None
) -> dict[str, Any]:
    """The document as plain values; the lab's name where the directors are a lab's."""
    document = VerifyDocument(
        verdict=verdict(results),
        lab=lab,
        directors=tuple(_director(health) for health in healths),
        checks=tuple(results),
    )
    return documents.to_json(document)


def _director(health: Health) -> DirectorRow:
    read = health.entries is not None
    owned = sort_entries(health.services, health.entries or ())
    return DirectorRow(
        director=health.director,
        link=health.link,
        kernel=health.kernel,
        hz=health.hz,
        timeouts_s=health.timeouts,
        services=len(health.services),
        entries=len(health.entries) if health.entries is not None else None,
        sample_of=health.sample_of,
        connections_per_s=None if health.per_s is None else sum(health.per_s.values()),
        vrrp_state=health.vrrp_state,
        sync_daemon=health.sync_daemon,
        conn_max=health.conn_max,
        entry_bytes=health.entry_bytes,
        table_status=health.table_status,
        templates=len(owned.templates) if read else None,
        orphans=len(owned.orphans) if read else None,
    )
