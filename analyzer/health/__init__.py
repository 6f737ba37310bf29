"""Health checks of directors from a few seconds of polling, each check a small function.

Nothing is sent: the rate is that of the present clients. A check that could not be made says so,
and never passes.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analyzer.health import configuration, entries, load
from analyzer.health.model import Check, Health, Outcome, name_of
from analyzer.health.places import sort_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.ipvs.states import Timeouts

__all__ = [
    "Check",
    "Health",
    "Outcome",
    "checks",
    "name_of",
    "verdict",
]


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
