"""Charts as SVG files, drawn by a browser; the sequence diagram needs none."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from reports.charts.theme import PALETTE
from reports.run.page import render, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from analyzer.traces.model import ConnectionTrace
    from reports.run.section import Chart

WIDTH_PX = 900
_STILL = re.compile(r'<pre id="([a-z0-9-]+)"[^>]*>([^<]+)</pre>')
_SVG = "{http://www.w3.org/2000/svg}"
_ALLOWED_LINKS = ("#", "data:image/png;base64,")


def render_stills(charts: Sequence[Chart]) -> str:
    """A page that draws each chart and leaves its SVG as text in a ``<pre>`` with its id."""
    drawn = [chart for chart in charts if chart.figure is not None]
    return render("stills.html", {"charts": drawn, "width": WIDTH_PX}, scripts=("stills.js",))


def read_stills(dumped: str) -> dict[str, str]:
    """The SVGs in a page of ``render_stills`` after its script ran, without broken ones.

    Args:
        dumped: the document, as a browser dumped it.
    """
    texts = {name: unescape(text) for name, text in _STILL.findall(dumped)}
    return {name: text for name, text in texts.items() if is_picture(text)}


def is_picture(text: str) -> bool:
    """Whether a text is an SVG without scripts, links or entities."""
    if "<!" in text:  # no entities, no comments: nothing that could grow or hide
        return False
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - without entities
    except ElementTree.ParseError:
        return False
    return root.tag == f"{_SVG}svg" and all(_is_still(element) for element in root.iter())


def _is_still(element: ElementTree.Element) -> bool:
    if element.tag in (f"{_SVG}script", f"{_SVG}foreignObject", f"{_SVG}a"):
        return False
    names = {name.rpartition("}")[2].lower(): value for name, value in element.attrib.items()}
    if any(name.startswith("on") for name in names):
        return False
    return names.get("href", "#").startswith(_ALLOWED_LINKS)


def sequence_diagram_svg(trace: ConnectionTrace, sentence: str) -> str:
    """A connection's sequence diagram as an SVG file, in light colours."""
    from reports.charts.sequence_diagram import diagram

    drawing = diagram(trace)
    drawn = render("sequence_diagram.svg", {"drawing": drawing, "sentence": sentence}).strip()
    colours = "".join(f"--{name}:{light};" for name, (light, _) in PALETTE.items())
    style = f".sequence-diagram{{{colours}font-family:sans-serif;background:var(--paper)}}"
    rules = style + text_of("templates/sequence_diagram.css")
    size = f'width="640" height="{round(drawing.height * 640 / 420)}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}'
    begin, _, rest = drawn.removeprefix("<svg").partition(">")
    return f"{head}{begin}><style>{rules}</style>{rest}"
