"""A Forecast in words: what its page and the terminal share, and the terminal's lines."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from analyzer.forecast.document import count, findings, number, verdict, waits_for
from analyzer.forecast.lives import DEBIAN_HZ
from reports.charts.wording import plural

if TYPE_CHECKING:
    from analyzer.forecast.lives import Life, Wait
    from analyzer.forecast.model import Band, Forecast, TableMemory

WIDTH = 100
COUNTED = {"active": "ActiveConn", "inactive": "InActConn"}
BAND_MEANING = (
    "min: a granule of the kernel's timer wheel has just fired; max: just before it does; "
    "mean: over time."
)


def summary_lines(forecast: Forecast) -> list[str]:
    """The answer as plain lines of at most 100 columns."""
    blocks = [
        wrapped(verdict(forecast)),
        [*wrapped(asked(forecast)), *wrapped(hz_note(forecast))],
        _table_lines(forecast),
        _life_lines(forecast),
        _port_lines(forecast),
        wrapped(f"Memory: {memory(forecast.memory)}"),
        *(_finding_lines(forecast)),
    ]
    lines: list[str] = []
    for block in blocks:
        lines += [""] * bool(lines) + block
    return lines


def wrapped(text: str, indent: str = "") -> list[str]:
    """A text in lines of at most 100 columns."""
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


def asked(forecast: Forecast) -> str:
    """The question in one line."""
    question = forecast.question
    closes = "udp"
    if question.protocol == "tcp":
        kinds = ", ".join(f"{life.close} {life.share:.0%}" for life in forecast.lives)
        closes = f"closed by: {kinds}; held {number(question.hold_s)} s"
    timeouts = question.timeouts
    values = " ".join(map(number, (timeouts.tcp_s, timeouts.tcpfin_s, timeouts.udp_s)))
    return (
        f"{number(question.rate_per_s)} connections/s ({question.arrivals}) for "
        f"{duration(forecast.duration_s)}; {question.forwarding}; {closes}; timeouts {values} s; "
        f"HZ {question.hz}."
    )


def hz_note(forecast: Forecast) -> str:
    """Whose HZ was taken."""
    if forecast.question.hz != DEBIAN_HZ:
        return ""
    return f"HZ {DEBIAN_HZ} is Debian's; Fedora, RHEL and newer Ubuntu kernels have 1000 (--hz)."


def duration(seconds: float) -> str:
    """Seconds as a reader takes them in: ``96 s``, ``21 min``, ``3.5 h``."""
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.4g} h"


def path(life: Life) -> str:
    """The states of an entry, in their order."""
    if life.survive == 0 or life.last_packet_s == 0:
        return life.ends.state
    if life.opened == life.last:
        return f"{life.last.state}, its timer started anew for {number(life.last_packet_s)} s"
    before = f"{life.opened.state} {number(life.closes_s)} s, then " if life.closes_s else ""
    anew = f", its timer started anew for {number(life.repeats_s)} s" if life.repeats_s else ""
    return f"{before}{life.last.state}{anew}"


def lived(life: Life) -> str:
    """How long an entry lives, from its first packet on."""
    shortest_s, longest_s = life.lifetime_s
    return f"{shortest_s:,.2f} to {longest_s:,.2f} s"


def governs(wait: Wait) -> str:
    """What an entry waits for, in a column: ``tcpfin = 30 s``, ``fixed 120 s``."""
    return waits_for(wait).removeprefix("a ")


def when_steady(forecast: Forecast) -> str:
    """When the table is steady and when it is empty again."""
    steady = f"Steady {forecast.steady_after_s:,.2f} s after the load begins"
    if not forecast.reaches_steady:
        steady += " (this load ends before)"
    left_s = forecast.empty_after_s - forecast.duration_s
    return f"{steady}; the last entry goes {left_s:,.2f} s after it ends."


def ports(forecast: Forecast) -> list[tuple[str, str, str]]:
    """The port budget: what is asked and what each side allows, a second; the one that binds."""
    found = forecast.ports
    clients = "no limit"
    if found.client_limit_per_s is not None:
        clients = f"{number(found.client_limit_per_s)}/s"
    rows = [
        (
            "this load",
            f"{number(found.rate_per_s)}/s",
            f"a port is used again after {duration(found.returns_after_s)}",
        ),
        (
            "entries allow",
            f"{number(found.entry_limit_per_s)}/s",
            f"an entry is gone {found.lifetime_s:,.2f} s after its first packet at the latest",
        ),
        (
            "clients allow",
            clients,
            f"a client keeps a port for {number(found.client_held_s)} s on average",
        ),
    ]
    binding = 1 if found.binds == "entries" else 2
    rows[binding] = (*rows[binding][:2], f"{rows[binding][2]}; binds")
    return rows


def port_pairs(forecast: Forecast) -> str:
    """Of how many ports."""
    found = forecast.ports
    addresses = plural(found.sources, "source address", "source addresses")
    return f"{addresses} of {found.ports:,} ports each, to one VIP and port"


def memory(found: TableMemory) -> str:
    """The memory that the most entries take."""
    return (
        f"{plural(found.entries, 'entry', 'entries')} at the peak: {size(found.entry_bytes)} at "
        f"320 bytes each ({size(found.slab_bytes)} of slab, as measured), chains of "
        f"{chains(found)} in {found.buckets:,} buckets."
    )


def chains(found: TableMemory) -> str:
    """The mean length of a chain of the hash table."""
    return f"{found.chain_length:{',.1f' if found.chain_length >= 1 else '.2g'}}"


def size(n_bytes: int) -> str:
    """Bytes in kB, MB or GB of powers of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes / 1e3:.3g} kB"


def _table_lines(forecast: Forecast) -> list[str]:
    random = forecast.question.arrivals == "poisson"
    names = ["mean", "min", "max", *(["random +-"] if random else []), "peak"]
    head = f"{'steady':<12}" + "".join(f"{name:>15}" for name in names)
    lines = [head]
    for name, band, peak in (
        ("ActiveConn", forecast.steady.active, forecast.peak.active),
        ("InActConn", forecast.steady.inactive, forecast.peak.inactive),
        ("both", forecast.steady.total, forecast.peak.total),
    ):
        lines.append(_band_line(name, band, peak, random))
    meaning = BAND_MEANING
    if random:
        meaning += " random +-: one standard deviation of random arrivals, the root of the max."
    return [*lines, *wrapped(f"{meaning} peak: under this load. {when_steady(forecast)}")]


def _band_line(name: str, band: Band, peak: float, random: bool) -> str:
    values = [band.mean, band.min, band.max, *([band.sigma] if random else []), peak]
    return f"{name:<12}" + "".join(f"{count(value):>15}" for value in values)


def _life_lines(forecast: Forecast) -> list[str]:
    rows = [("closing", "share", "ends in", "counted", "timeout", "granule", "an entry lives")]
    rows += [
        (
            life.close or "udp",
            f"{life.share:.0%}",
            life.ends.state,
            COUNTED[life.ends.counted],
            governs(life.ends),
            f"{life.ends.granule_s:.4g} s",
            lived(life),
        )
        for life in forecast.lives
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _port_lines(forecast: Forecast) -> list[str]:
    rows = ports(forecast)
    width = max(len(row[1]) for row in rows)
    return [
        f"Source ports: {port_pairs(forecast)}:",
        *(f"  {name:<14}{allowed:>{width}}  {why}" for name, allowed, why in rows),
    ]


def _finding_lines(forecast: Forecast) -> list[list[str]]:
    return [
        [
            *wrapped(f"{finding.severity} {finding.id}: {finding.title}."),
            *wrapped(finding.evidence, "  "),
            *wrapped(finding.advice, "  "),
        ]
        for finding in findings(forecast)
    ]
