"""A Forecast as a Document: how full the table gets, what entries go through and what they cost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analyzer.forecast.document import to_json
from analyzer.forecast.lifetimes import DEBIAN_HZ
from analyzer.forecast.wording import count, findings, number, verdict, waits_for
from reports.charts.wording import Headline, plural
from reports.document.model import Column, Document, Section, Table, Text, columns
from reports.run.section import Chart

if TYPE_CHECKING:
    from analyzer.forecast.lifetimes import EntryLifetime
    from analyzer.forecast.model import Band, Forecast
    from reports.document.model import Block

COUNTED = {"active": "ActiveConn", "inactive": "InActConn"}
BAND_MEANING = (
    "min: a granule of the kernel's timer wheel has just fired; max: just before it does; "
    "mean: over time. "
)
RANDOM_MEANING = "random +-: one standard deviation of random arrivals, the root of the max. "
LIFE_COLUMNS = (
    Column("Closing kind", "closing"),
    Column("Share", "share", right=True),
    Column("States", terminal=""),
    Column("", "ends in"),
    Column("Counted at the end", "counted"),
    Column("Timeout at the end", "timeout"),
    Column("Timer granule", "granule", right=True),
    Column("Lives, from its first packet", "an entry lives", right=True),
)


def forecast_document(forecast: Forecast) -> Document:
    """The answer, the course of both counters, and the costs."""
    costs: list[Block] = [_ports(forecast), Text(f"Memory: {_memory(forecast)}")]
    sections = (
        Section("steady", "Steady state", _steady(forecast), only="terminal"),
        Section("course-section", "The director's table over time", [partial(_chart, forecast)]),
        Section("lives", "What an entry goes through", [_lives(forecast)]),
        Section("costs", "What it costs", costs),
    )
    return Document(
        kind="forecast",
        origin="Predicted by the model alone; nothing was measured",
        verdict=verdict(forecast),
        json=to_json(forecast),
        headlines=_headlines(forecast),
        asked=_asked(forecast),
        findings=findings(forecast),
        sections=sections,
    )


def _chart(forecast: Forecast) -> Chart:
    from reports.forecast.chart import occupancy

    return Chart(id="course", figure=occupancy(forecast), caption=_caption(forecast))


def _caption(forecast: Forecast) -> str:
    parts = [
        f"The load lasts {_duration(forecast.duration_s)}. {_when_steady(forecast)}",
        "The stairs are the kernel's timer wheel: entries that fall due within one granule go at "
        "once.",
    ]
    if forecast.reaches_steady:
        parts.append("Above the plateau stand the foot and the top of its stairs.")
    if forecast.question.arrivals == "poisson":
        parts.append(
            "Line: the expected number. Shaded: where 95 of 100 random courses are at any instant."
        )
    return " ".join(parts)


def _headlines(forecast: Forecast) -> tuple[Headline, ...]:
    """The table's two counters, its memory, and when it is empty again."""
    memory, steady, peak = forecast.memory, forecast.steady, forecast.peak
    return (
        _counter("InActConn", steady.inactive, peak.inactive, forecast),
        _counter("ActiveConn", steady.active, peak.active, forecast),
        Headline(
            "Memory at the peak",
            _size(memory.slab_bytes),
            f"{memory.entries:,} entries; {_chains(forecast)}",
        ),
        Headline(
            "Empty again",
            _duration(forecast.empty_after_s - forecast.duration_s),
            "after the load ends",
        ),
    )


def _counter(name: str, band: Band, peak: float, forecast: Forecast) -> Headline:
    if not forecast.reaches_steady:
        detail = (
            f"the load ends after {_duration(forecast.duration_s)}; steady it would be "
            f"{count(band.mean)} after {_duration(forecast.steady_after_s)}"
        )
        return Headline(f"{name} at its peak", count(peak), detail)
    label = f"{name}, steady"
    if not band.max:
        return Headline(label, "0", "no entry is counted here at any time")
    detail = "without stairs"
    if count(band.min) != count(band.max):
        detail = f"on average; between {count(band.min)} and {count(band.max)}, in stairs"
    if band.sigma:
        detail += f"; random arrivals add ± {count(band.sigma)}"
    return Headline(label, count(band.mean), detail)


def _asked(forecast: Forecast) -> str:
    question, timeouts = forecast.question, forecast.question.timeouts
    closes = "udp, one packet"
    if question.protocol == "tcp":
        kinds = ", ".join(f"{life.close} {life.share:.0%}" for life in forecast.lifetimes)
        closes = f"closed by: {kinds}; held {number(question.hold_s)} s before that"
    others = " (Debian's; Fedora, RHEL and newer Ubuntu kernels have 1000: --hz)"
    return (
        f"{number(question.rate_per_s)} connections/s ({question.arrivals}) for "
        f"{_duration(forecast.duration_s)}; {question.forwarding}; {closes}; timeouts: tcp "
        f"{number(timeouts.tcp_s)} s, tcpfin {number(timeouts.tcpfin_s)} s, udp "
        f"{number(timeouts.udp_s)} s; clients: {question.sources:,} x {question.ports:,} ports, "
        f"TIME_WAIT {number(question.client_time_wait_s)} s; conn_tab_bits "
        f"{question.conn_tab_bits}; HZ {question.hz}{others if question.hz == DEBIAN_HZ else ''}."
    )


def _duration(seconds: float) -> str:
    """Seconds as a reader takes them in: ``96 s``, ``21 min``, ``3.5 h``."""
    if seconds < 600:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.4g} h"


def _when_steady(forecast: Forecast) -> str:
    """When the table is steady and when it is empty again."""
    steady = f"Steady {forecast.steady_after_s:,.2f} s after the load begins"
    if not forecast.reaches_steady:
        steady += " (this load ends before)"
    left_s = forecast.empty_after_s - forecast.duration_s
    return f"{steady}; the last entry goes {left_s:,.2f} s after it ends."


def _steady(forecast: Forecast) -> list[Block]:
    """Both counters and their sum: the band of the steady state, and the peak of this load."""
    random = forecast.question.arrivals == "poisson"
    names = ("mean", "min", "max", *(["random +-"] if random else []), "peak")
    steady, peak = forecast.steady, forecast.peak
    bands = (
        ("ActiveConn", steady.active, peak.active),
        ("InActConn", steady.inactive, peak.inactive),
        ("both", steady.total, peak.total),
    )
    rows = [
        (name, *map(count, (band.mean, band.min, band.max, *([band.sigma] * random), at_peak)))
        for name, band, at_peak in bands
    ]
    meaning = BAND_MEANING + RANDOM_MEANING * random
    return [
        Table(columns=columns("steady", *names, right=True), rows=rows),
        Text(f"{meaning}peak: under this load. {_when_steady(forecast)}"),
    ]


def _lives(forecast: Forecast) -> Table:
    rows = [
        (
            life.close or "udp",
            f"{life.share:.0%}",
            _path(life),
            life.ends.state,
            COUNTED[life.ends.counted],
            waits_for(life.ends).removeprefix("a "),
            f"{life.ends.granule_s:.4g} s",
            f"{life.lifetime_s.min:,.2f} to {life.lifetime_s.max:,.2f} s",
        )
        for life in forecast.lifetimes
    ]
    return Table(columns=LIFE_COLUMNS, rows=rows, style="wide")


def _path(life: EntryLifetime) -> str:
    """The states of an entry, in their order."""
    if life.survive == 0 or life.last_packet_s == 0:
        return life.ends.state
    if life.opened == life.last:
        return f"{life.last.state}, its timer started anew for {number(life.last_packet_s)} s"
    before = f"{life.opened.state} {number(life.closes_s)} s, then " if life.closes_s else ""
    anew = f", its timer started anew for {number(life.repeats_s)} s" if life.repeats_s else ""
    return f"{before}{life.last.state}{anew}"


def _ports(forecast: Forecast) -> Table:
    """The port budget: what is asked and what each side allows, a second; the one that binds."""
    ports = forecast.ports
    addresses = plural(ports.sources, "source address", "source addresses")
    limit = ports.client_limit_per_s
    until = f"{ports.lifetime_s:,.2f} s after its first packet at the latest"
    allowed = {
        "entries": f"an entry is gone {until}",
        "clients": f"a client keeps a port for {number(ports.client_held_s)} s on average",
    }
    allowed["entries" if ports.binds == "entries" else "clients"] += "; binds"
    return Table(
        title=f"Source ports: {addresses} of {ports.ports:,} ports each, to one VIP and port",
        columns=(Column("load"), Column("connections", right=True), Column("why")),
        rows=[
            (
                "this load",
                f"{number(ports.rate_per_s)}/s",
                f"a port is used again after {_duration(ports.returns_after_s)}",
            ),
            ("entries allow", f"{number(ports.entry_limit_per_s)}/s", allowed["entries"]),
            (
                "clients allow",
                "no limit" if limit is None else f"{number(limit)}/s",
                allowed["clients"],
            ),
        ],
        style="narrow",
        head=False,
    )


def _memory(forecast: Forecast) -> str:
    """The memory that the most entries take."""
    memory = forecast.memory
    return (
        f"{plural(memory.entries, 'entry', 'entries')} at the peak: {_size(memory.entry_bytes)} at "
        f"320 bytes each ({_size(memory.slab_bytes)} of slab, as measured), {_chains(forecast)}."
    )


def _chains(forecast: Forecast) -> str:
    """The mean length of a chain of the hash table."""
    memory = forecast.memory
    digits = ",.1f" if memory.chain_length >= 1 else ".2g"
    return f"chains of {memory.chain_length:{digits}} in {memory.buckets:,} buckets"


def _size(n_bytes: int) -> str:
    """Bytes in kB, MB or GB of powers of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= factor:
            return f"{n_bytes / factor:.3g} {unit}"
    return f"{n_bytes / 1e3:.3g} kB"
