"""A Document as one HTML page that needs nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reports.run.page import render, script_json

if TYPE_CHECKING:
    from reports.document.model import Block, Document


def page_of(document: Document) -> str:
    """One HTML document, safe to open from disk; only links between pages lead out of it."""
    context = {"doc": document, "kind_of": _kind, "document": script_json(document.json)}
    return render("document.html", context)


def _kind(block: Block) -> str:
    return "chart" if callable(block) else type(block).__name__.lower()
