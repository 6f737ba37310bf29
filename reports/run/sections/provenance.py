"""The section on how the run was measured: command, versions, timeouts, clocks, manifest."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from analyzer.ipvs.table_status import in_words
from reports.run.section import Section

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from analyzer.recording.manifest import Manifest
    from analyzer.report import Analysis, DirectorTable

CLOCK = "clock_uncertainty_ms"
OF_A_DIRECTOR = {  # facts of each director, and their keys in the manifest
    "kernel": "kernel",
    "HZ": "hz",
    "timeouts": "timeouts",
    "sysctls": "sysctl",
    "clock offset": CLOCK,
    "link": "link",
}


def section(analysis: Analysis) -> Section:
    """Command line, versions, timeouts, clocks; then all of the manifest."""
    return Section(
        id="manifest",
        title="How it was measured",
        template="sections/provenance.html",
        facts={
            "manifest": analysis.manifest.raw,
            "summary": (*summary(analysis.manifest), *tables(analysis), *laws(analysis)),
        },
    )


def summary(manifest: Manifest) -> Iterator[tuple[str, str | None]]:
    """The most important facts; None is shown as not measured."""
    raw, dropped = manifest.raw, manifest.capture.dropped
    words = manifest.command_line
    yield "command line", manifest.command if words is None else shlex.join(words)
    yield "program", _in_words(raw.get("program"))
    yield "host", _in_words(raw.get("host"))
    for name, director in manifest.directors.items():
        facts = _worded(raw["directors"][name])
        for label, key in OF_A_DIRECTOR.items():
            if key == "timeouts" and director.kind == "netfilter":
                continue  # they are among its sysctls
            yield f"{name}: {label}", _in_words(facts.get(key))
    yield "packets dropped by the capture", None if dropped is None else str(dropped)
    yield "how it ended", manifest.ended


def tables(analysis: Analysis) -> Iterator[tuple[str, str | None]]:
    """The size and occupancy of each director's table of entries."""
    netfilter = {law.director for law in analysis.laws if law.kind == "netfilter"}
    for table in analysis.tables:
        yield f"{table.director}: table of entries", _size(table, netfilter)
        if table.fullest is not None:
            text = f"{in_words(table.fullest)} (/proc/net/ip_vs_status)"
            yield f"{table.director}: table at its fullest", text
        elif table.resizes:
            why = "the kernel shows it only to root (/proc/net/ip_vs_status)"
            yield f"{table.director}: table at its fullest", f"not measured: {why}"


def _size(table: DirectorTable, netfilter: Collection[str]) -> str | None:
    if table.buckets is None:
        return None
    parts = [f"{table.buckets:,} buckets"]
    if table.resizes:
        parts[0] += " when the run began"
        parts.append("it grows by itself")
        if table.most_buckets is not None and table.most_buckets > table.buckets:
            parts.append(f"{table.most_buckets:,} were seen")
    if table.conn_max is not None:
        sysctl = "nf_conntrack_max" if table.director in netfilter else "conn_max"
        parts.append(f"at most {table.conn_max:,} entries ({sysctl})")
    if table.entry_bytes is not None:
        parts.append(f"at least {table.entry_bytes} bytes per entry, by the kernel's log")
    return "; ".join(parts)


def laws(analysis: Analysis) -> Iterator[tuple[str, str | None]]:
    """The kernel rules by which each director was predicted, and what is uncertain in them."""
    for row in analysis.laws:
        of = f"Linux {row.law}" + (", assumed: its kernel is not known" if row.assumed else "")
        whose = "conntrack's" if row.kind == "netfilter" else "IPVS"
        yield f"{row.director}: {whose} law", " ".join((f"{of}.", *row.since))
        if row.uncertain:
            yield f"{row.director}: may also hold, if carried back", " ".join(row.uncertain)


def _worded(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    """A director's facts, with the uncertainty of its clock in words."""
    within_ms = facts.get(CLOCK)
    if within_ms is None:
        return facts
    return {**facts, CLOCK: f"from its uptime at each poll, ± {within_ms:.1f} ms"}


def _in_words(value: Any) -> str | None:
    if isinstance(value, Mapping):
        parts = [f"{key} {_in_words(item)}" for key, item in value.items() if item is not None]
        return ", ".join(parts) or None
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or None
    return None if value is None else str(value)
