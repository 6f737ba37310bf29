"""Is a director well? What is checked of a look of some seconds, each check a small function.

Nothing is sent for it: the rate is the one that clients bring at present. A check that could not be
made says so, and never passes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analyzer.health import entries, load, together
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
    """All of them.

    Args:
        healths: of the directors that are to be one.
        expected: the timeouts that are configured; None where nobody said.
    """
    found: list[Check] = []
    for one in healths:
        belongs = sort_entries(one.services, one.entries or ())
        found += [
            together.timeouts(one, expected),
            load.ports(one, belongs),
            load.memory(one, belongs),
            load.table(one),
            entries.states(one, belongs),
            entries.counters(one, belongs),
            entries.orphans(one, belongs),
        ]
    return (*found, *together.alike(healths), together.sync(healths))


def to_json(
    found: Sequence[Check], healths: Sequence[Health], lab: str | None = None
) -> dict[str, Any]:
    """The document that ``--json`` prints; the lab's name where the directors are a lab's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "verdict": verdict(found),
        "lab": lab,
        "directors": [
            {
                "director": one.director,
                "link": one.link,
                "kernel": one.kernel,
                "hz": one.hz,
                "timeouts_s": asdict(one.timeouts) if one.timeouts else None,
                "services": len(one.services),
                "entries": None if one.entries is None else len(one.entries),
                "sample_of": one.sample_of,
                "connections_per_s": None if one.per_s is None else sum(one.per_s.values()),
                "vrrp_state": one.vrrp_state,
                "sync_daemon": one.sync_daemon,
                "conn_max": one.conn_max,
                "entry_bytes": one.entry_bytes,
                "table_status": to_manifest(one.table_status),
            }
            | _of_table(one)
            for one in healths
        ],
        "checks": [asdict(check) for check in found],
    }


def _of_table(one: Health) -> dict[str, int | None]:
    """How many of the entries are no connection of a configured real server."""
    if one.entries is None:
        return {"templates": None, "orphans": None}
    belongs = sort_entries(one.services, one.entries)
    return {"templates": len(belongs.templates), "orphans": len(belongs.orphans)}


def verdict(found: Sequence[Check]) -> str:
    """One sentence."""
    outcomes = Counter(check.outcome for check in found)
    failed, unknown = outcomes["failed"], outcomes["not measured"]
    if not (failed or unknown):
        return "All is as it should be"
    of = f" of {len(found)} checks"
    parts = [f"{failed}{of} failed"] if failed else []
    parts += [f"{unknown}{'' if failed else of} could not be made"] if unknown else []
    return ", ".join(parts)
