"""A Document with a block of every kind, and what tests look for in one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.results import Finding
from reports.charts.wording import Headline
from reports.document.model import (
    Bullets,
    Column,
    Document,
    Facts,
    Labelled,
    Section,
    Table,
    Text,
    columns,
)
from reports.run.section import Chart

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reports.document.model import Block


def document(*blocks: Block, said: str = "It holds", verdict_last: bool = False) -> Document:
    """One section of these blocks, and a finding; ``said`` stands wherever a name may."""
    return Document(
        kind="answer",
        origin=said,
        verdict=f"{said}: in 3 of 3",
        verdict_last=verdict_last,
        json={"said": said},
        headlines=(Headline(label="Runs", value=None, detail=said),),
        asked=f"Asked: {said}.",
        findings=(
            Finding(id="odd", severity="warning", title=said, evidence="Seen.", advice="Do."),
        ),
        sections=(
            Section("rows", "The rows", blocks),
            Section("empty", "Never shown", ()),
        ),
    )


def every_block(said: str = "bal01") -> Sequence[Block]:
    """One of each kind."""
    table = Table(
        title=said,
        columns=(Column(said, "run"), *columns("n", "count", right=True), Column("", "only")),
        rows=((Labelled(said, said, f"{said}.html"), None, 5, said),),
    )
    return (
        lambda: Chart(id="none-chart", figure=None, caption=said),
        table,
        Text(said),
        Bullets(said, (said,)),
        Facts([("name", said)]),
    )


def charts_of(shown: Document) -> list[Chart]:
    """Its charts, drawn."""
    blocks = [block for section in shown.sections for block in section.blocks]
    drawn = [block() if callable(block) else block for block in blocks]
    return [block for block in drawn if isinstance(block, Chart)]
