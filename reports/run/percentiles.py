"""The tails of the latencies, and their course: figures of ``analyzer.client.latency``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from reports.charts.panels import Panel, stacked, time_axis
from reports.charts.theme import BAND, INK, PALETTE
from reports.charts.wording import listed, milliseconds, plural
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.client.latency import Heat, Latencies, Percentiles, SynRetries
    from analyzer.results import Floats
    from reports.run.section import Cell

NAMES: Mapping[tuple[str, str], str] = {
    ("connect", "send"): "connect",
    ("first_byte", "send"): "first byte",
    ("total", "send"): "total",
    ("total", "due"): "total, from when it was due",
}
STYLES: Mapping[tuple[str, str], tuple[str, str, str]] = {
    ("connect", "send"): ("green", "2px,3px", "diamond"),
    ("first_byte", "send"): ("orange", "8px,4px", "square-open"),
    ("total", "send"): ("blue", "solid", "circle"),
    ("total", "due"): ("pink", "10px,3px,2px,3px", "triangle-up"),
}
COLUMNS = ("latency, ms", "p50", "p90", "p99", "p99.9", "p99.99", "max")
CURVES_PX = 240
NINES = (
    *((0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %")),
    *((0.9999, "99.99 %"), (0.99999, "99.999 %"), (0.999999, "99.9999 %")),
)


def name_of(one: Percentiles) -> str:
    """What a latency is called."""
    return NAMES[one.name, one.since]


# -- percentiles ---------------------------------------------------------------------------------


def percentile_chart(told: Latencies) -> Chart:
    """Each latency by the share of requests that took no longer, the tail drawn out."""
    return Chart(
        id="percentiles-chart",
        figure=percentile_figure(told.percentiles) if told.percentiles else None,
        caption=_percentile_caption(told),
        table=DataTable(columns=COLUMNS, rows=rows(told.percentiles), note=TOO_FEW),
    )


TOO_FEW = (
    "p99 needs 100 requests, p99.9 1,000 and p99.99 10,000: with fewer, none lies beyond, and the "
    "maximum says as much."
)


TOO_FEW_CELL = "too few"


def rows(told: Sequence[Percentiles]) -> list[tuple[Cell, ...]]:
    """One row for each latency, the percentiles and the maximum in milliseconds."""
    return [
        (name_of(one), *(_cell(value) for value in one.at), _cell(float(one.ms[-1])))
        for one in told
    ]


def _cell(value: float | None) -> str:
    return TOO_FEW_CELL if value is None else milliseconds(value)


def percentile_figure(told: Sequence[Percentiles]) -> go.Figure:
    """Curves over ``-log10(1 - share)``: each nine takes the same room."""
    low, high = log_span([one.ms for one in told])
    panel = Panel(
        title="Milliseconds that so many took at most",
        height_px=CURVES_PX,
        traces=[_curve(one) for one in told],
        axis=log_ticks(low, high),
    )
    figure = stacked([panel], head_px=64, foot_px=46)
    end = max(float(nines(one.share)[-1]) for one in told)
    ticks = [(nines(q), text) for q, text in NINES if nines(q) <= end + 0.05]
    figure.update_layout(
        showlegend=True,
        legend={"orientation": "h", "x": 0, "y": 1 + 24 / CURVES_PX, "yanchor": "bottom"},
        xaxis={
            "range": [-0.03 * max(end, 1), 1.03 * max(end, 1)],
            "tickvals": [float(at) for at, _ in ticks],
            "ticktext": [text for _, text in ticks],
            "title": {"text": "share of requests", "standoff": 8},
        },
    )
    return figure


def nines(share: float | Floats) -> Floats:
    """Where a share stands on an axis on which each nine takes the same room."""
    return np.asarray(-np.log10(1 - np.asarray(share)))


def _curve(one: Percentiles) -> go.Scatter:
    hue, dash, symbol = STYLES[one.name, one.since]
    marked = np.isin(one.share, [q for q, _ in NINES])
    colour = PALETTE[hue][0]
    return go.Scatter(
        name=name_of(one),
        x=nines(one.share),
        y=np.log10(np.maximum(one.ms, 1e-3)),
        mode="lines+markers",
        line={"shape": "hv", "width": 1.8, "color": colour, "dash": dash},
        marker={"symbol": symbol, "size": np.where(marked, 7, 0).tolist(), "color": colour},
        customdata=[
            f"{100 * share:.6g} % took at most {milliseconds(ms)} ms"
            for share, ms in zip(one.share.tolist(), one.ms.tolist(), strict=True)
        ],
        hovertemplate="%{customdata}<br>%{fullData.name}<extra></extra>",
    )


def log_span(values: Sequence[Floats]) -> tuple[float, float]:
    """Log10 of the least and the largest of some milliseconds, at least half a decade apart."""
    known = np.concatenate([part[part > 0] for part in values] or [np.ones(1)])
    low, high = np.log10(known.min(initial=1e3)), np.log10(known.max(initial=1e-3))
    missing = max(0.0, 0.5 - (high - low)) / 2
    return float(low - missing), float(high + missing)


def log_ticks(low: float, high: float) -> dict[str, object]:
    """An axis of log10 milliseconds with round numbers, seven or so."""
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    decades = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    shown = [ms for ms in ticks if low - 0.05 <= np.log10(ms) <= high + 0.05]
    margin = 0.06 * (high - low)
    return {
        "range": [low - margin, high + margin],
        "tickvals": [float(np.log10(ms)) for ms in shown],
        "ticktext": [f"{ms:g} ms" if ms < 1000 else f"{ms / 1000:g} s" for ms in shown],
    }


def _percentile_caption(told: Latencies) -> str:
    if not told.percentiles:
        return "No request got as far as an answer."
    sentences = [_tail(one) for one in told.percentiles if one.name == "total"]
    if told.sent_late_ms is not None:
        late = milliseconds(told.sent_late_ms)
        sentences.append(
            f"Requests were sent up to {late} ms after they were due; counted from then, what they "
            "had to wait before they were sent belongs to their latency."
        )
    return " ".join(sentences)


def _tail(one: Percentiles) -> str:
    known = [
        f"{milliseconds(value)} ms at {text}"
        for value, text in zip(one.at, ("p50", "p90", "p99", "p99.9", "p99.99"), strict=True)
        if value is not None
    ]
    name = name_of(one).capitalize()
    return f"{name}: {listed([*known, f'{milliseconds(float(one.ms[-1]))} ms at most'])}."


def syn_sentences(syn: SynRetries) -> list[str]:
    """Repeated SYNs in words; nothing where no connect took so long."""
    if not syn.steps:
        return [_other(syn)] if syn.other else []
    counts = listed([f"{plural(n, 'connect')} took about {at_s:g} s" for at_s, n in syn.steps])
    rules = {
        "linear": "; it waits 1 s each time, as Linux does since 6.5",
        "doubling": "; it doubles the wait each time",
        None: "",
    }
    wire = ""
    if syn.seen is not None:
        wire = f" The capture has {plural(syn.seen, 'connection')} with more than one SYN."
    other = f" {_other(syn)}" if syn.other else ""
    return [
        f"{counts}: a SYN or the answer to it was lost, and the client's kernel sent it "
        f"again{rules[syn.rule]}.{wire}{other}"
    ]


def _other(syn: SynRetries) -> str:
    return f"{plural(syn.other, 'connect')} took 0.9 s or more without being near such a step."


# -- over time -----------------------------------------------------------------------------------


def heat_chart(heat: Heat | None) -> Chart | None:
    """The latency of the requests by when they were sent; None without one."""
    if heat is None:
        return None
    return Chart(
        id="latency-heat-chart",
        figure=heat_figure(heat),
        caption=_heat_caption(heat),
        table=_heat_table(heat),
        clock="run",
    )


def heat_figure(heat: Heat) -> go.Figure:
    """A stronger shade where more requests were; the scale of the shades is logarithmic."""
    counts = heat.counts.astype(np.float64)
    shades = np.where(counts > 0, np.log10(np.maximum(counts, 1)) + 0.3, np.nan)
    trace = go.Heatmap(
        x=heat.start_s,
        y=heat.log_ms,
        z=shades,
        customdata=heat.counts,
        zmin=0,
        colorscale=[[0, BAND], [0.5, PALETTE["blue"][0]], [1, INK]],
        showscale=False,
        hoverongaps=False,
        hovertemplate="%{customdata} requests sent at %{x:.2f} s<extra></extra>",
    )
    low, high = float(heat.log_ms[0]), float(heat.log_ms[-1])
    panel = Panel(
        title="Total latency, by when sent",
        height_px=190,
        traces=[trace],
        axis=log_ticks(low, high) | {"range": [low, high]},
    )
    figure = stacked([panel], head_px=26)
    first, last = float(heat.start_s[0]), float(heat.start_s[-1])
    margin = 0.015 * (last - first)
    figure.update_layout(
        xaxis=time_axis(first - margin, last + margin, "seconds since the start of the run")
    )
    return figure


def _heat_caption(heat: Heat) -> str:
    by_column = heat.counts.sum(axis=0)
    width_s = float(heat.start_s[1] - heat.start_s[0])
    busiest = int(np.argmax(by_column))
    most = plural(int(by_column[busiest]), "request")
    return (
        f"The stronger the shade, the more requests (logarithmic); each column is {width_s:.3g} s. "
        f"Most were sent at {heat.start_s[busiest]:.3g} s: {most} in a column."
    )


_PARTS = 24


def _heat_table(heat: Heat) -> DataTable:
    """Parts of the time, with the span of rows that held their requests."""
    columns = len(heat.start_s) - 1
    edges = np.unique(np.linspace(0, columns, _PARTS + 1).astype(np.int64))
    found: list[tuple[Cell, ...]] = []
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        by_row = heat.counts[:, first:last].sum(axis=1)
        held = np.flatnonzero(by_row)
        span = f"{heat.start_s[first]:.4g} to {heat.start_s[last]:.4g}"
        if len(held):
            half = int(np.searchsorted(np.cumsum(by_row), by_row.sum() / 2))
            bounds = (held[0], half + 1, held[-1] + 1)
            low, middle, high = (float(10 ** heat.log_ms[at]) for at in bounds)
            found.append((span, int(by_row.sum()), low, middle, high))
        else:
            found.append((span, 0, None, None, None))
    names = ("sent, s", "requests", "fastest above, ms", "half below, ms", "slowest below, ms")
    return DataTable(columns=names, rows=found, note="Bounds are those of the rows of the chart.")
