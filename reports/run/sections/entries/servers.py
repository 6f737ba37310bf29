"""The section on real servers: shares against weights, and entries at the peak."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.ipvs.addresses import host_port
from reports.charts.figure import bar, scatter
from reports.charts.panels import Panel, stacked, whole_numbers
from reports.charts.theme import CALM, INK, PALETTE, PAPER, plain
from reports.charts.wording import plural, share, why_no_polls
from reports.run import reboots
from reports.run.section import Chart, DataTable, Section
from reports.run.sections.entries.states import STATES, look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.charts.values import Share, Shares
    from analyzer.report import Analysis
    from analyzer.results import ServiceTable
    from reports.charts.figure import Figure, Trace

SERVERS = 24  # drawn, those with most entries
ROW_PX, LEAST_PX = 30, 60
TABLES = 24  # shown, each of a director and service at its peak
REST_CHARACTERS = 3_500_000
"""Of all other tables, in lines: 50,000 real servers have 1.6 million."""

LONGEST_LINE = 160
UNLIKELY = 0.001  # as in the finding "imbalance"


def section(analysis: Analysis) -> Section:
    """The shares on the director with most entries, and each director's table at its peak."""
    shares = busiest(analysis)
    charts = (_shares_chart(shares), _peak_chart(shares)) if shares else ()
    names = {name for row in shares.servers for name in row.states} if shares else set()
    order = [*(name for name in STATES if name in names), *sorted(names - STATES.keys())]
    return Section(
        id="peak",
        title="Real servers",
        charts=charts,
        template="sections/servers.html",
        shows=frozenset(
            {"draining", "imbalance", "removed-server-entries", "weight-zero-still-served"}
        ),
        facts={
            "tables": analysis.timeline.peaks[:TABLES],
            "rest": _as_ipvsadm(analysis.timeline.peaks[TABLES:]),
            "more": max(0, len(analysis.timeline.peaks) - TABLES),
            "why_no_polls": why_no_polls(analysis),
            "reboots": reboots.sentences(analysis),
            "legend": [(name, *look(name)) for name in order],
        },
    )


def _as_ipvsadm(tables: Sequence[ServiceTable]) -> str:
    """The tables that are not shown as such, in lines like ``ipvsadm -Ln``; "" without any."""
    lines: list[str] = []
    size = 0
    for number, table in enumerate(tables):
        head = f"{table.director}: {table.protocol} {host_port(table.vip, table.port)}"
        rows = (
            f"  -> {host_port(row.real_server, row.real_port)} {row.forwarding} "
            f"{row.weight} {row.active} {row.inactive}"
            for row in table.rows
        )
        service = "\n".join(line[:LONGEST_LINE] for line in (f"{head} {table.scheduler}", *rows))
        size += len(service) + 1
        if size > REST_CHARACTERS:
            return "\n".join([*lines, f"and {plural(len(tables) - number, 'more service')}"])
        lines.append(service)
    return "\n".join(lines)


def busiest(analysis: Analysis) -> Shares | None:
    """The shares on the director with most entries; None without entries."""
    known = analysis.pictures.shares
    return max(known, key=lambda shares: sum(row.entries for row in shares.servers), default=None)


def verdict(shares: Shares) -> str:
    """Whether the shares agree with the weights, in one sentence."""
    if shares.why_no_test is not None:
        return f"Not tested against the weights: {shares.why_no_test}."
    if shares.p is None:
        return "A real server of weight 0 got connections, so the shares cannot be tested."
    if shares.p < UNLIKELY:
        return f"The shares differ from the weights: chi-square p = {shares.p:.1g}."
    return f"The shares agree with the weights: chi-square p = {shares.p:.2g}."


def _drawn(shares: Shares) -> list[Share]:
    ranked = sorted(shares.servers, key=lambda row: -row.entries)[:SERVERS]
    return [row for row in shares.servers if row in ranked]


def _left_out(shares: Shares) -> str:
    more = len(shares.servers) - SERVERS
    return f" {plural(more, 'real server')} with fewer entries not shown." if more > 0 else ""


def _shares_chart(shares: Shares) -> Chart:
    rows, total = _drawn(shares), sum(row.entries for row in shares.servers)
    names = [plain(row.real_server, 28) for row in rows]
    bars = bar(
        name="share",
        orientation="h",
        y=names,
        x=[100 * row.entries / total for row in rows],
        width=0.55,
        marker={"color": CALM},
        customdata=[row.entries for row in rows],
        hovertemplate="%{y}: %{customdata} entries, %{x:.1f} %<extra></extra>",
    )
    traces: list[Trace] = [bars]
    expected = [100 * row.expected / total for row in rows if row.expected is not None]
    if len(expected) == len(rows):
        traces.append(
            scatter(
                name="by weight",
                y=names,
                x=expected,
                mode="markers",
                marker={
                    "symbol": "line-ns-open",
                    "size": 20,
                    "color": INK,
                    "line": {"width": 2.5, "color": INK},
                },
                hovertemplate="%{y}: %{x:.1f} % by its weight<extra></extra>",
            )
        )
    top = max([*expected, *bars["x"]])
    title = f"Share of {plural(total, 'entry', 'entries')} on {plain(shares.director, 30)}, %"
    shares_in_words = ", ".join(
        f"{row.real_server} {share(row.entries, total)} (weight {_weight(row)})" for row in rows[:6]
    )
    more = f" and {len(rows) - 6} more" if len(rows) > 6 else ""
    return Chart(
        id="shares-chart",
        figure=_horizontal(title, names, traces, top),
        caption=f"{verdict(shares)} Vertical marks: expected by weight. {shares_in_words}{more}."
        + _left_out(shares),
        table=DataTable(
            columns=("real server", "weight", "entries", "expected", "share, %"),
            rows=[
                (r.real_server, r.weight, r.entries, r.expected, round(100 * r.entries / total, 2))
                for r in shares.servers
            ],
        ),
    )


def _weight(row: Share) -> str:
    return "changed" if row.weight is None else f"{row.weight:g}"


def _peak_chart(shares: Shares) -> Chart:
    rows = _drawn(shares)
    names = [plain(row.real_server, 28) for row in rows]
    states = list(dict.fromkeys(name for row in rows for name in row.states))
    order = [*(name for name in STATES if name in states), *(s for s in states if s not in STATES)]
    traces = [
        _states_bar(state, names, [row.states.get(state, 0) for row in rows]) for state in order
    ]
    top = max((sum(row.states.values()) for row in rows), default=0)
    held = ", ".join(f"{sum(row.states.values()):,} of {row.real_server}" for row in rows[:6])
    return Chart(
        id="held-chart",
        figure=_horizontal("Entries at the peak, by last state", names, traces, top)
        if top
        else None,
        caption=f"At its peak {shares.director} held {held}{' and more' if len(rows) > 6 else ''}."
        if top
        else f"At its peak {shares.director} held none of these entries.",
        table=DataTable(
            columns=("real server", *order),
            rows=[(r.real_server, *(r.states.get(s, 0) for s in order)) for r in shares.servers],
        ),
    )


def _states_bar(state: str, names: list[str], counts: list[int]) -> Trace:
    hue, pattern = look(state)
    return bar(
        name=plain(state),
        orientation="h",
        y=names,
        x=counts,
        width=0.55,
        marker={
            "color": PALETTE[hue][0],
            "pattern": {
                "shape": pattern,
                "fillmode": "overlay",
                "fgcolor": PAPER,
                "size": 7,
                "solidity": 0.2,
            },
        },
        hovertemplate="%{x} in " + plain(state, 20).replace("%", "") + ", %{y}<extra></extra>",
    )


def _horizontal(title: str, names: list[str], traces: list[Trace], top: float) -> Figure:
    panel = Panel(
        title=title,
        height_px=max(ROW_PX * len(names), LEAST_PX),
        traces=traces,
        axis={
            "type": "category",
            "autorange": "reversed",
            "showgrid": False,
            "ticks": "outside",
            "ticklen": 6,
            "tickcolor": PAPER,
        },
    )
    axis = whole_numbers(max(1, round(top)))
    axis |= {"range": [0, axis["range"][1]], "fixedrange": True}
    return stacked([panel], axis, head_px=26, foot_px=34)
