"""Charts of the latencies' percentiles, and of latency over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from reports.charts.figure import scatter
from reports.charts.panels import Panel, stacked, time_axis
from reports.charts.theme import BAND, INK, PALETTE
from reports.charts.wording import listed, milliseconds, plural
from reports.run.section import Chart, DataTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from analyzer.arrays import Floats
    from analyzer.client.latency import Heat, Latencies, Percentiles, SynRetries
    from reports.charts.figure import Figure, Trace
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


def name_of(latency: Percentiles) -> str:
    """The name of a latency."""
    return NAMES[latency.name, latency.since]


# -- percentiles ---------------------------------------------------------------------------------


def percentile_chart(latencies: Latencies) -> Chart:
    """The chart of the latencies by percentile, with a stretched tail."""
    return Chart(
        id="percentiles-chart",
        figure=percentile_figure(latencies.percentiles) if latencies.percentiles else None,
        caption=_percentile_caption(latencies),
        table=DataTable(columns=COLUMNS, rows=rows(latencies.percentiles), note=TOO_FEW),
    )


TOO_FEW = (
    "p99 needs 100 requests, p99.9 1,000 and p99.99 10,000: with fewer, no request lies beyond it."
)


TOO_FEW_CELL = "too few"


def rows(percentiles: Sequence[Percentiles]) -> list[tuple[Cell, ...]]:
    """One row for each latency, the percentiles and the maximum in milliseconds."""
    return [
        (name_of(latency), *(_cell(value) for value in latency.at), _cell(float(latency.ms[-1])))
        for latency in percentiles
    ]


def _cell(value: float | None) -> str:
    return TOO_FEW_CELL if value is None else milliseconds(value)


def percentile_figure(percentiles: Sequence[Percentiles]) -> Figure:
    """Curves over ``-log10(1 - share)``: each nine takes the same width."""
    low, high = log_span([latency.ms for latency in percentiles])
    panel = Panel(
        title="Latency by percentile",
        height_px=CURVES_PX,
        traces=[_curve(latency) for latency in percentiles],
        axis=log_ticks(low, high),
    )
    end = max(float(nines(latency.share)[-1]) for latency in percentiles)
    ticks = [(nines(q), text) for q, text in NINES if nines(q) <= end + 0.05]
    axis = {
        "range": [-0.03 * max(end, 1), 1.03 * max(end, 1)],
        "tickvals": [float(at) for at, _ in ticks],
        "ticktext": [text for _, text in ticks],
        "title": {"text": "share of requests", "standoff": 8},
    }
    legend = {"orientation": "h", "x": 0, "y": 1 + 24 / CURVES_PX, "yanchor": "bottom"}
    return stacked([panel], axis, head_px=64, foot_px=46, showlegend=True, legend=legend)


def nines(share: float | Floats) -> Floats:
    """The position of a share on an axis on which each nine takes the same width."""
    return np.asarray(-np.log10(1 - np.asarray(share)))


def _curve(latency: Percentiles) -> Trace:
    hue, dash, symbol = STYLES[latency.name, latency.since]
    marked = np.isin(latency.share, [q for q, _ in NINES])
    colour = PALETTE[hue][0]
    return scatter(
        name=name_of(latency),
        x=nines(latency.share),
        y=np.log10(np.maximum(latency.ms, 1e-3)),
        mode="lines+markers",
        line={"shape": "hv", "width": 1.8, "color": colour, "dash": dash},
        marker={"symbol": symbol, "size": np.where(marked, 7, 0).tolist(), "color": colour},
        customdata=[
            f"{100 * share:.6g} % took at most {milliseconds(ms)} ms"
            for share, ms in zip(latency.share.tolist(), latency.ms.tolist(), strict=True)
        ],
        hovertemplate="%{customdata}<br>%{fullData.name}<extra></extra>",
    )


def log_span(values: Sequence[Floats]) -> tuple[float, float]:
    """Log10 of the smallest and the largest milliseconds, at least half a decade apart."""
    known = np.concatenate([part[part > 0] for part in values] or [np.ones(1)])
    low, high = np.log10(known.min(initial=1e3)), np.log10(known.max(initial=1e-3))
    missing = max(0.0, 0.5 - (high - low)) / 2
    return float(low - missing), float(high + missing)


def log_ticks(low: float, high: float) -> dict[str, object]:
    """An axis of log10 milliseconds with about seven round numbers."""
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


def _percentile_caption(latencies: Latencies) -> str:
    if not latencies.percentiles:
        return "No request got a response."
    sentences = [_tail(latency) for latency in latencies.percentiles if latency.name == "total"]
    if latencies.sent_late_ms is not None:
        late = milliseconds(latencies.sent_late_ms)
        sentences.append(
            f"Requests were sent up to {late} ms after they were due; a latency from the due time "
            "includes that wait."
        )
    return " ".join(sentences)


def _tail(latency: Percentiles) -> str:
    known = [
        f"{text} {milliseconds(value)} ms"
        for value, text in zip(latency.at, ("p50", "p90", "p99", "p99.9", "p99.99"), strict=True)
        if value is not None
    ]
    name = name_of(latency).capitalize()
    return f"{name}: {listed([*known, f'maximum {milliseconds(float(latency.ms[-1]))} ms'])}."


def syn_sentences(syn: SynRetries) -> list[str]:
    """Sentences about retransmitted SYNs; empty if no connect took that long."""
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
        f"{counts}: the SYN or its SYN-ACK was lost, and the client's kernel retransmitted the "
        f"SYN{rules[syn.rule]}.{wire}{other}"
    ]


def _other(syn: SynRetries) -> str:
    return f"{plural(syn.other, 'connect')} took 0.9 s or more, unlike a SYN retransmission."


# -- over time -----------------------------------------------------------------------------------


def heat_chart(heat: Heat | None) -> Chart | None:
    """The chart of latency over time; None without a heat map."""
    if heat is None:
        return None
    return Chart(
        id="latency-heat-chart",
        figure=heat_figure(heat),
        caption=_heat_caption(heat),
        table=_heat_table(heat),
        clock="run",
    )


def heat_figure(heat: Heat) -> Figure:
    """Latency over time: darker for more requests, on a logarithmic scale."""
    counts = heat.counts.astype(np.float64)
    shades = np.where(counts > 0, np.log10(np.maximum(counts, 1)) + 0.3, np.nan)
    trace = {
        "type": "heatmap",
        "x": heat.start_s,
        "y": heat.log_ms,
        "z": shades,
        "customdata": heat.counts,
        "zmin": 0,
        "colorscale": [[0, BAND], [0.5, PALETTE["blue"][0]], [1, INK]],
        "showscale": False,
        "hoverongaps": False,
        "hovertemplate": "%{customdata} requests sent at %{x:.2f} s<extra></extra>",
    }
    low, high = float(heat.log_ms[0]), float(heat.log_ms[-1])
    panel = Panel(
        title="Total latency by time of sending",
        height_px=190,
        traces=[trace],
        axis=log_ticks(low, high) | {"range": [low, high]},
    )
    first, last = float(heat.start_s[0]), float(heat.start_s[-1])
    margin = 0.015 * (last - first)
    axis = time_axis(first - margin, last + margin, "seconds since the start of the run")
    return stacked([panel], axis, head_px=26)


def _heat_caption(heat: Heat) -> str:
    by_column = heat.counts.sum(axis=0)
    width_s = float(heat.start_s[1] - heat.start_s[0])
    busiest = int(np.argmax(by_column))
    most = plural(int(by_column[busiest]), "request")
    return (
        f"Stronger shades are more requests (logarithmic); each column is {width_s:.3g} s. "
        f"The busiest column, at {heat.start_s[busiest]:.3g} s, has {most}."
    )


_PARTS = 24


def _heat_table(heat: Heat) -> DataTable:
    """The fastest, median and slowest request in each part of the time."""
    columns = len(heat.start_s) - 1
    edges = np.unique(np.linspace(0, columns, _PARTS + 1).astype(np.int64))
    table_rows: list[tuple[Cell, ...]] = []
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        by_row = heat.counts[:, first:last].sum(axis=1)
        occupied = np.flatnonzero(by_row)
        span = f"{heat.start_s[first]:.4g} to {heat.start_s[last]:.4g}"
        if len(occupied):
            half = int(np.searchsorted(np.cumsum(by_row), by_row.sum() / 2))
            bounds = (occupied[0], half + 1, occupied[-1] + 1)
            low, middle, high = (float(10 ** heat.log_ms[at]) for at in bounds)
            table_rows.append((span, int(by_row.sum()), low, middle, high))
        else:
            table_rows.append((span, 0, None, None, None))
    names = ("sent, s", "requests", "minimum above, ms", "median below, ms", "maximum below, ms")
    return DataTable(columns=names, rows=table_rows, note="Bounds are those of the chart's rows.")
