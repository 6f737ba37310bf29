"""Health checks of directors from a few seconds of polling, each check a small function.

Nothing is sent: the rate is that of the present clients. A check that could not be made says so,
and never passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analyzer.health import configuration, entries, load
from analyzer.health.model import Check, Health, Outcome, name_of
from analyzer.health.places import sort_entries
from analyzer.ipvs.table_status import to_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.ipvs.states import Timeouts

__all__ = [
    "SCHEMA_VERSION",
    "Check",
    "Health",
    "Outcome",
    "checks",
    "name_of",
    "to_json",
    "verdict",
]

SCHEMA_VERSION = 1


def checks(healths: Sequence[Health], expected: Timeouts | None) -> tuple[Check, ...]:
    """All checks of some directors.

    Args:
        healths: of the directors that should be configured alike.
        expected: the timeouts that should be in force; None skips their check.
    """
    results: list[Check] = []
    for health in healths:
        owned = sort_entries(health.services, health.entries or ())
        results += [
            configuration.timeouts(health, expected),
            load.ports(health, owned),
            load.memory(health, owned),
            load.table(health),
            entries.states(health, owned),
            entries.counters(health, owned),
            entries.orphans(health, owned),
        ]
    return (*results, *configuration.same_on_all(healths), configuration.sync(healths))


def to_json(
    results: Sequence[Check], healths: Sequence[Health], lab: str | None = None
) -> dict[str, Any]:
    """The document that ``--json`` prints; the lab's name where the directors are a lab's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(results),
        "lab": lab,
        "directors": [
            {
                "director": health.director,
                "link": health.link,
                "kernel": health.kernel,
                "hz": health.hz,
                "timeouts_s": asdict(health.timeouts) if health.timeouts else None,
                "services": len(health.services),
                "entries": None if health.entries is None else len(health.entries),
                "sample_of": health.sample_of,
                "connections_per_s": None if health.per_s is None else sum(health.per_s.values()),
                "vrrp_state": health.vrrp_state,
                "sync_daemon": health.sync_daemon,
                "conn_max": health.conn_max,
                "entry_bytes": health.entry_bytes,
                "table_status": to_manifest(health.table_status),
            }
            | _entry_counts(health)
            for health in healths
        ],
        "checks": [asdict(check) for check in results],
    }


def _entry_counts(health: Health) -> dict[str, int | None]:
    """How many of the entries are no connection of a configured real server."""
    if health.entries is None:
        return {"templates": None, "orphans": None}
    owned = sort_entries(health.services, health.entries)
    return {"templates": len(owned.templates), "orphans": len(owned.orphans)}


def verdict(results: Sequence[Check]) -> str:
    """The result of all checks in one sentence."""
    outcomes = Counter(check.outcome for check in results)
    failed, unknown = outcomes["failed"], outcomes["not measured"]
    if not (failed or unknown):
        return "All is as it should be"
    of = f" of {len(results)} checks"
    parts = [f"{failed}{of} failed"] if failed else []
    parts += [f"{unknown}{'' if failed else of} could not be made"] if unknown else []
    return ", ".join(parts)
