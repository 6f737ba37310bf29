"""The JSON Schema of what ``--json`` prints, made from the very types that are printed.

A key that is there is always there: every one is required, and null where a quantity is not known.
Programs that read a document should ignore keys that they do not know; later versions add some
without raising ``schema_version``. Dialect: JSON Schema 2020-12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.json import schema_components

from analyzer.across_runs.document import ComparisonDocument
from analyzer.across_runs.history import History
from analyzer.capacity.document import CapacityDocument
from analyzer.capacity.proof.document import ProofDocument
from analyzer.checks.document import CheckDocument
from analyzer.forecast.document import ForecastDocument
from analyzer.health.document import VerifyDocument
from analyzer.ipvs.ipvsadm import ParsedDocument
from analyzer.report import Report
from analyzer.sweep.results import Sweep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from analyzer.documents import JsonDocument

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

DOCUMENTS: Mapping[str, tuple[str, type[JsonDocument]]] = {
    "report": ("analyzer report --json", Report),
    "parse": ("analyzer parse --json", ParsedDocument),
    "predict": ("analyzer predict --json", ForecastDocument),
    "capacity": ("analyzer capacity --json", CapacityDocument),
    "capacity-proof": ("loadgen capacity-proof --json", ProofDocument),
    "sweep": ("loadgen sweep --json", Sweep),
    "verify": ("loadgen verify --json", VerifyDocument),
    "check": ("analyzer check --json", CheckDocument),
    "compare": ("analyzer compare --json", ComparisonDocument),
    "history": ("analyzer history --json", History),
}
"""What prints them, and their types, by command."""


def schema_of(command: str) -> Schema:
    """The schema of one of ``DOCUMENTS``."""
    title, kind = DOCUMENTS[command]
    _, components = schema_components([kind])
    definitions = {name: _as_printed(schema) for name, schema in components.items()}
    body = definitions.pop(kind.__name__)
    return {"$schema": DIALECT, "title": title} | body | {"$defs": definitions}


def _as_printed(schema: Schema) -> Schema:
    """An object with every key, also with those that have a default here."""
    keys = {name: _without_default(value) for name, value in schema["properties"].items()}
    description = " ".join(schema["description"].split("\n\n")[0].split())
    return {
        "description": description,
        "type": "object",
        "properties": keys,
        "required": list(keys),
    }


def _without_default(schema: Schema) -> Schema:
    rest = {word: value for word, value in schema.items() if word != "default"}
    return {"const": rest["enum"][0]} if len(rest.get("enum", ())) == 1 else rest
