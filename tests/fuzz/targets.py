"""All targets, one for each reader of what others wrote."""

from __future__ import annotations

from tests.fuzz import captures, imports, outputs, runs, settings, texts
from tests.fuzz.loop import Target

TARGETS = (
    Target("texts", texts.attempt),
    Target("captures", captures.attempt),
    Target("imports", imports.attempt),
    Target("runs", runs.attempt),
    Target("exports", outputs.attempt_export),
    Target("comparisons", outputs.attempt_compare),
    Target("copies", outputs.attempt_anonymise),
    Target("parts", outputs.attempt_parts),
    Target("policies", settings.attempt_policy),
    Target("topologies", settings.attempt_topology),
)
