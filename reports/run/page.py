"""An Analysis as one self-contained HTML file.

Everything that comes from a recording passes jinja's autoescape, ``theme.plain`` or
``script_json``; the page's own policy lets only the two scripts of this package run, by their
hashes, and forbids every request.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import shlex
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from analyzer.ipvs.addresses import host_port
from analyzer.report import to_json
from reports.charts import wording
from reports.charts.figure import encoded
from reports.charts.sequence_diagram import LANES
from reports.charts.theme import PALETTE
from reports.compiled_templates import CompiledTemplates
from reports.run.sections import sections

if TYPE_CHECKING:
    from analyzer.report import Analysis
    from analyzer.results import Finding
    from reports.run.section import Cell, Section

SEVERITIES = {"problem": "Problem", "warning": "Warning", "info": "Good to know"}
COMMANDS = ("command_line", "command", "argv")  # lists of words in the manifest, shown as typed
STYLES = ("templates/page.css", "templates/sequence_diagram.css")
MANY = 200  # items of a list in the manifest that are shown
MAX_TEXT = 1000  # characters of a text that are shown
SYNTAX: Mapping[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
_NUMBERS_AS_TEXT = "bdata"  # plotly's arrays, in base 64


def render_page(analysis: Analysis) -> str:
    """The report: one HTML document, safe to open from disk and to attach to a ticket."""
    return render("page.html", _context(analysis))


def render(
    template: str,
    context: Mapping[str, Any],
    scripts: Sequence[str] = ("page.js",),
    connect: str = "'none'",
) -> str:
    """A template, with the style, scripts and policy of every page.

    Args:
        template: below ``templates/``.
        context: what it needs beyond those.
        scripts: the page's own, below ``templates/``; they run after plotly.
        connect: what they may request: the ``connect-src`` of the policy.
    """
    paths = ("vendor/plotly-cartesian.min.js", *(f"templates/{script}" for script in scripts))
    texts = [text_of(path) for path in paths]
    shell = {
        "dark": script_json(dict(PALETTE.values())),
        "palette": PALETTE,
        "severities": SEVERITIES,
        "style": Markup("".join(map(text_of, STYLES))),  # noqa: S704 - our own files
        "scripts": [Markup(text) for text in texts],  # noqa: S704 - our own files
        "policy": _policy(texts, connect),
    }
    return _whole(environment().get_template(template).render({**shell, **context}))


def render_blocks(
    template: str, context: Mapping[str, Any], names: Sequence[str]
) -> dict[str, Markup]:
    """Single blocks of a template, by name."""
    source = environment().get_template(template)
    shell = {"palette": PALETTE, "severities": SEVERITIES}
    return {
        name: _whole("".join(source.blocks[name](source.new_context({**shell, **context}))))
        for name in names
    }


def _whole(html: str) -> Markup:
    """Replace halves of characters, which names may contain."""
    try:
        html.encode()
    except UnicodeEncodeError:
        html = html.encode("utf-8", "replace").decode("utf-8")
    return Markup(html)  # noqa: S704 - of our templates, which escape


def _context(analysis: Analysis) -> dict[str, Any]:
    shown = sections(analysis)
    return {
        "analysis": analysis,
        "headlines": wording.headlines(analysis),
        "findings": by_severity(analysis.findings),
        "sections": shown,
        "shown_at": anchors(shown),
        "document": script_json(to_json(analysis)),
    }


def anchors(shown: Sequence[Section]) -> dict[str, Section]:
    """The section with the evidence of each finding, by the finding's id.

    The timeline has what no other section of this page has.
    """
    in_turn = sorted(shown, key=lambda section: section.id != "timeline")
    return {finding: section for section in in_turn for finding in section.shows}


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Problems first; otherwise in the order of the analysis."""
    order = list(SEVERITIES)
    return sorted(findings, key=lambda finding: order.index(finding.severity))


def script_json(value: Any) -> Markup:
    """A value as JSON that is safe inside a ``<script>`` element."""
    text = json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, default=str)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - nothing in it can end the element


def short(value: Any) -> Any:
    """A value as a page shows it: a text, unless it is markup, is cut after ``MAX_TEXT``."""
    if isinstance(value, str) and not isinstance(value, Markup) and len(value) > MAX_TEXT:
        return value[: MAX_TEXT - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return value


def _finite(value: Any) -> Any:
    """A value for JSON: NaN and infinities become None, texts are cut."""
    if isinstance(value, Mapping):
        return {
            short(str(key)): item if key == _NUMBERS_AS_TEXT else _finite(item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, str):
        return short(value)
    if isinstance(value, (np.generic, np.ndarray)):
        return _finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _policy(scripts: Sequence[str], connect: str) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        f"img-src data: blob:; connect-src {connect}; base-uri 'none'; form-action 'none'"
    )


@cache
def text_of(path: str) -> str:
    """A file of this package."""
    return files("reports").joinpath(path).read_text(encoding="utf-8")


def compile_templates() -> None:
    """Compile each template that is not kept compiled."""
    for name in environment().list_templates(extensions=("html", "svg")):
        environment().get_template(name)


@cache
def environment() -> Environment:
    """Jinja's, with the filters that the templates use."""
    made = Environment(
        loader=PackageLoader("reports"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=short,
        bytecode_cache=CompiledTemplates(SYNTAX),
        **SYNTAX,
    )
    made.filters |= {
        "seconds": wording.seconds,
        "setting": wording.setting,
        "ms": wording.milliseconds,
        "share": wording.share,
        "figure_json": lambda figure: script_json(encoded(figure)),
        "moment": lambda value: f"{value:.2f}",
        "signed": lambda value: f"{value:+.2f} s".replace("-", "\N{MINUS SIGN}"),
        "kind": kind,
        "cell": cell,
        "position": lambda items, item: items.index(item),
        "rate": lambda value: "" if value is None else f"{value:.4g}",
        "script_json": script_json,
        "shell": lambda words: shlex.join(map(str, words)),
    }
    made.globals |= {
        "address": host_port,
        "forwarding": wording.FORWARDING,
        "latencies": wording.LATENCIES,
        "timeout_label": wording.timeout_label,
        "main_lifetime": wording.main_lifetime,
        "lanes": LANES,
        "many": MANY,
        "commands": COMMANDS,
    }
    return made


def cell(value: Cell) -> str:
    """A cell as text: counts with thousands separators, other numbers to five digits."""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def kind(value: Any) -> str:
    """How the page shows a value: as ``mapping``, ``list``, ``nothing`` or ``scalar``."""
    if value is None or (isinstance(value, (Mapping, list, tuple)) and not value):
        return "nothing"
    if isinstance(value, Mapping):
        return "mapping"
    return "list" if isinstance(value, (list, tuple)) else "scalar"
