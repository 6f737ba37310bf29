"""A Proof as a Document: what each link carried beside what was computed, and what was lost."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from analyzer.capacity.proof.document import to_json
from analyzer.capacity.proof.model import TOLERANCE
from analyzer.capacity.proof.wording import rate, share, verdict
from analyzer.capacity.wording import bit_rate, count
from reports.charts.panels import Panel, axis_name
from reports.charts.theme import CALM, PALETTE, plain
from reports.charts.wording import Headline
from reports.document.figures import bars, grouped_bars, mark_level
from reports.document.model import Bullets, Column, Document, Section, Table, Text, columns
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.capacity.proof.model import Carried, MeasuredWindow, Proof, ProvenLoss
    from reports.charts.figure import Figure
    from reports.document.model import Block
    from reports.run.section import Cell

DROP_TAIL = (
    "A full queue drops what comes last, and of streams in step that is always the same one: "
    "judge the sum, not the VIP."
)
TALL_PX, FOOT_PX = 150, 90
BARS = (("computed", CALM, "/"), ("measured", PALETTE["blue"][0], ""))
"""Name, colour and pattern of the two bars of each director."""


def proof_document(proof: Proof) -> Document:
    """Measured beside computed, per loss."""
    measured = any(loss.before for loss in proof.losses)
    missing = [f"{what}: {why}" for what, why in proof.not_measured]
    bullets = [Bullets("Not measured", missing)] if missing else []
    drawn: list[Block] = [partial(_chart, proof), _links(proof)] if measured else []
    lost: list[Block] = [_lost_table(proof), Text(DROP_TAIL, only="page")]
    sections = (
        Section("shares", "What each link carried, beside what was computed", drawn),
        Section("losses", "What was lost, and how long it took", lost if proof.losses else []),
        Section("moves", "How the VIPs moved", [_moves(proof.losses)] if proof.losses else []),
        Section("not-measured", "Not measured", bullets),
    )
    return Document(
        kind="proof",
        origin=proof.run,
        verdict=verdict(proof),
        json=to_json(proof),
        headlines=_headlines(proof),
        asked=_asked(proof),
        sections=sections,
    )


def _chart(proof: Proof) -> Chart:
    worst = proof.worst_difference
    far = "unknown" if worst is None else f"{worst:+.1%}"
    window_s = max(window.seconds for window in proof.windows)
    caption = (
        f"Averages over {window_s:g} s before and after each loss; the line is the link. "
        f"The farthest measured bar from its computed one: {far}."
    )
    if proof.experiment.question.burst != 1:
        caption += " Computed is what a link with such a queue lets through of the bursts."
    return Chart(id="proof-chart", figure=_figure(proof), caption=caption)


def _figure(proof: Proof) -> Figure:
    """A panel per loss: each director before and after, computed beside measured."""
    shown = [loss for loss in proof.losses if loss.before]
    panels = [_panel(loss, legend=number == 0) for number, loss in enumerate(shown)]
    figure = grouped_bars(panels, foot_px=FOOT_PX, bargap=0.3)
    for number in range(len(shown)):
        link_gbps = float(proof.experiment.question.link_bps) / 1e9
        mark_level(figure, axis_name("y", number), link_gbps, "link")
    return figure


def _panel(loss: ProvenLoss, *, legend: bool) -> Panel:
    rows = [
        (f"{plain(each.director)}<br>{when}", each)
        for when, window in (("before", loss.before), ("after", loss.after))
        if window
        for each in window.carried
    ]
    top = max(max(each.computed_bps, each.link_bps) for _, each in rows) / 1e9
    return Panel(
        title=f"{plain(' and '.join(loss.down))} dies: each link before and after, Gbit/s",
        height_px=TALL_PX,
        traces=[
            bars(
                [label for label, _ in rows],
                [_gbps(each)[name] for _, each in rows],
                name,
                {"color": colour, "pattern": {"shape": pattern, "solidity": 0.3}},
                f"%{{x}}: %{{y:.4g}} Gbit/s {name}",
                legend=legend,
            )
            for name, colour, pattern in BARS
        ],
        axis={"range": [0, 1.15 * top], "tickformat": "~g"},
    )


def _gbps(each: Carried) -> dict[str, float | None]:
    measured = None if each.measured_bps is None else each.measured_bps / 1e9
    return {"computed": each.computed_bps / 1e9, "measured": measured}


def _windows(proof: Proof) -> list[tuple[str, MeasuredWindow | None]]:
    """``before the loss of bal01``, and what was measured then."""
    return [
        (f"{when} the loss of {' and '.join(loss.down)}", window)
        for loss in proof.losses
        for when, window in (("before", loss.before), ("after", loss.after))
    ]


def _asked(proof: Proof) -> str:
    experiment, question = proof.experiment, proof.experiment.question
    parts = [
        f"{count(question.hosts, 'director')} with {bit_rate(question.link_bps)} links",
        f"{bit_rate(question.ingress_bps)} in, over {count(len(experiment.vips), 'VIP')}",
        f"{question.failures} down at once",
    ]
    if question.burst != 1:
        burst = float(question.burst)
        parts.append(f"half a second at {burst:.4g} times the average, half at {2 - burst:.4g}")
    lab = f"In the lab a link has {rate(experiment.link.rate_bps)}"
    return f"{'; '.join(parts)}. {lab} and all rates are {experiment.scale:.3g} of these."


def _headlines(proof: Proof) -> tuple[Headline, ...]:
    """The farthest share, the busiest link and the losses after a take-over."""
    worst = proof.worst_difference
    after = [loss.after for loss in proof.losses if loss.after]
    return (
        Headline(
            "Farthest from computed",
            None if worst is None else f"{worst:+.1%}",
            f"of a director's share; {TOLERANCE:.0%} is allowed",
            alarming=worst is not None and abs(worst) > TOLERANCE,
        ),
        _busiest(after),
        _most_lost(after),
    )


def _busiest(windows: Sequence[MeasuredWindow]) -> Headline:
    label = "Busiest link after a loss"
    known = [
        (each.measured_bps, each)
        for window in windows
        for each in window.carried
        if each.measured_bps is not None
    ]
    if not known:
        return Headline(label, None)
    bps, worst = max(known, key=lambda one: one[0])
    detail = f"{rate(bps)} on {worst.director}"
    return Headline(label, f"{bps / worst.link_bps:.0%}", detail)


def _most_lost(windows: Sequence[MeasuredWindow]) -> Headline:
    label = "Lost after a take-over"
    known = [(window.lost_share, window) for window in windows if window.lost_share is not None]
    if not known:
        return Headline(label, None)
    part, worst = max(known, key=lambda one: one[0])
    detail = f"{worst.lost:,} of {worst.sent:,}; computed {share(worst.computed_lost_share)}"
    return Headline(label, share(part), detail, alarming=part > TOLERANCE)


def _lost_table(proof: Proof) -> Table:
    shown = (
        Column("Window"),
        Column("Lost"),
        Column("Lost, by VIP", terminal=""),
        Column("Delay, client to real server", "Delay"),
        Column("Sender late by up to", "Late", right=True),
    )
    rows = [(when, *_lost(window)) for when, window in _windows(proof)]
    return Table(columns=shown, rows=rows, style="wide")


def _lost(window: MeasuredWindow | None) -> Sequence[Cell]:
    """Lost, by VIP, delay of what arrived, and lateness of the sender."""
    if window is None:
        return (None,) * 4
    lost = delay = late = None
    if window.lost_share is not None:
        computed = share(window.computed_lost_share)
        shares = f"{share(window.lost_share)}, computed {computed}"
        lost = f"{window.lost:,} of {window.sent:,} lost ({shares})"
    if window.delay_p99_ms is not None and window.delay_p50_ms is not None:
        delay = f"{window.delay_p50_ms:.2g} ms median, {window.delay_p99_ms:.2g} ms p99"
    if window.worst_late_ms is not None:
        late = f"{window.worst_late_ms:.3g} ms"
    by_vip = [f"{vip.vip} {share(vip.lost / vip.sent)}" for vip in window.vips if vip.lost]
    return lost, ", ".join(by_vip) or "none", delay, late


def _moves(losses: Sequence[ProvenLoss]) -> Table:
    rows = [(f"{' and '.join(loss.down)} killed", _moved(loss)) for loss in losses]
    return Table(columns=columns("loss", "VIPs"), rows=rows, style="narrow", head=False)


def _moved(loss: ProvenLoss) -> str | None:
    """How long the dead directors' VIPs were away, and whether the others noticed."""
    if not loss.away_s:
        return None
    away = sorted(loss.away_s.values())
    low, high = f"{away[0]:.2f}", f"{away[-1]:.2f}"
    span = low if low == high else f"{low} to {high}"
    text = f"{count(len(away), 'VIP')} away for {span} s"
    if loss.disturbed_s is None:
        return text
    return f"{text}; the others without a datagram for {loss.disturbed_s:.2f} s at most"


def _links(proof: Proof) -> Table:
    rows = [
        (
            f"{each.director}, {when}",
            rate(each.offered_bps),
            rate(each.computed_bps),
            None if each.measured_bps is None else rate(each.measured_bps),
            None if each.difference is None else f"{each.difference:+.1%}",
        )
        for when, window in _windows(proof)
        if window
        for each in window.carried
    ]
    shown = columns("link", "offered", "computed", "measured", "difference", right=True)
    return Table(columns=shown, rows=rows)
