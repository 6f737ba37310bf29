"""The JSON Schema of what ``--json`` prints, derived from the very types that are printed.

A key that is there is always there: every one is required, and null where a quantity is not known.
Programs that read a document should ignore keys that they do not know; later versions add some
without raising ``schema_version``. Dialect: JSON Schema 2020-12.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from inspect import cleandoc
from types import NoneType, SimpleNamespace, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from analyzer import health, results
from analyzer.capacity import proof_results
from analyzer.capacity import results as capacity_results
from analyzer.capacity.question import PLAN_NAMES
from analyzer.charts import curves
from analyzer.client import failures
from analyzer.estimate.counted import results as counted_results
from analyzer.failover import results as failover_results
from analyzer.forecast import document as forecast
from analyzer.forecast.lifetimes import EntryLifetime, Question
from analyzer.forecast.model import Band, PortBudget, TableMemory
from analyzer.forecast.occupancy import Counts, OccupancySeries
from analyzer.ipvs import states
from analyzer.ipvs.ipvsadm import model as texts
from analyzer.ipvs.table_status import TableStatus
from analyzer.predicted import forwarding
from analyzer.recording.ending import Ending
from analyzer.recording.log_clock import LogClock
from analyzer.sweep import results as sweep_results
from analyzer.sweep.waits import FinWaits

if TYPE_CHECKING:
    from collections.abc import Callable

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SIMPLE = {str: "string", bool: "boolean", int: "integer", float: "number", NoneType: "null"}
_FOR_TYPES_ONLY = {
    "Mapping": Mapping,
    "Floats": list[float],
    "Ints": list[int],
    "Ending": Ending,
    "FinWaits": FinWaits,
    "LogClock": LogClock,
    "PortBudget": PortBudget,
    "TableMemory": TableMemory,
    "TableStatus": TableStatus,
}
"""Names that a module imports for its annotations alone."""


class _Document:
    """One schema in the making: its definitions are gathered as they are met."""

    def __init__(self) -> None:
        self.definitions: dict[str, Schema] = {}

    def of(self, hint: Any) -> Schema:
        """The schema of a type's values as they are printed."""
        if hint in _SIMPLE:
            return {"type": _SIMPLE[hint]}
        origin, inner = get_origin(hint) or hint, get_args(hint)
        if origin is Literal:
            return {"enum": list(inner)}
        if origin in (Union, UnionType):
            return _any_of([self.of(each) for each in inner])
        if origin in (tuple, list):
            return {"type": "array", "items": self.of(inner[0])}
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        return self._definition(origin, inner) if is_dataclass(origin) else {}

    def _definition(self, kind: Any, inner: tuple[Any, ...]) -> Schema:
        name = kind.__name__ + "".join(each.__name__.capitalize() for each in inner)
        if name not in self.definitions:
            self.definitions[name] = {}  # met again within itself, it is there
            self.definitions[name] = self.object_of(kind, inner)
        return {"$ref": f"#/$defs/{name}"}

    def object_of(
        self, kind: Any, inner: tuple[Any, ...] = (), left_out: frozenset[str] = frozenset()
    ) -> Schema:
        """A dataclass, its fields the keys; its curves are the page's alone."""
        told = {one.name: one.type for one in fields(kind) if one.name not in left_out}
        hints = _resolved({name: hint for name, hint in told.items() if hint != "Curve"}, kind)
        keys = {
            name: self.of(inner[0] if isinstance(hint, TypeVar) else hint)
            for name, hint in hints.items()
        }
        return {"description": _first_paragraph(kind)} | object_with(keys)


def _resolved(annotations: Mapping[str, Any], kind: type) -> dict[str, Any]:
    here = sys.modules[kind.__module__]
    printed = (results, curves, failures, counted_results, failover_results, forwarding)
    modules = (*printed, states, health, here)
    names = dict(_FOR_TYPES_ONLY)
    for module in modules:
        names |= vars(module)
    return get_type_hints(SimpleNamespace(__annotations__=dict(annotations)), names)


def _any_of(choices: list[Schema]) -> Schema:
    simple = [choice["type"] for choice in choices if choice.keys() == {"type"}]
    return {"type": simple} if len(simple) == len(choices) else {"anyOf": choices}


def _first_paragraph(kind: type) -> str:
    return " ".join(cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def object_with(keys: Mapping[str, Schema]) -> Schema:
    """An object that has at least these keys."""
    return {"type": "object", "properties": dict(keys), "required": list(keys)}


def _version(number: int) -> dict[str, Schema]:
    return {"schema_version": {"const": number}}


def _headed(title: str, version: int, body: Schema, document: _Document) -> Schema:
    keys = _version(version) | body["properties"]
    head = {"$schema": DIALECT, "title": title}
    definitions = {"$defs": document.definitions} if document.definitions else {}
    return head | body | object_with(keys) | definitions


def report() -> Schema:
    """Of ``analyzer report --json`` and ``loadgen burst --json``."""
    document = _Document()
    body = document.object_of(results.Analysis, left_out=frozenset(results.PAGE_ONLY))
    return _headed("analyzer report --json", results.SCHEMA_VERSION, body, document)


def parse() -> Schema:
    """Of ``analyzer parse --json``."""
    document = _Document()
    body = document.object_of(texts.ParsedText, left_out=frozenset({"lines_understood"}))
    return _headed("analyzer parse --json", texts.SCHEMA_VERSION, body, document)


def predict() -> Schema:
    """Of ``analyzer predict --json``."""
    document = _Document()
    of = document.of
    life = document.object_of(EntryLifetime, left_out=frozenset({"lifetime_s"}))
    span = object_with({"min": of(float), "max": of(float)})
    body = object_with(
        {
            "verdict": of(str),
            "question": of(Question),
            "lives": {
                "type": "array",
                "items": life | object_with(life["properties"] | {"lifetime_s": span}),
            },
            "duration_s": of(float),
            "steady_reached": of(bool),
            "steady_after_s": of(float),
            "steady_entries": of(Counts[Band]),
            "peak_entries": of(Counts[float]),
            "empty_after_s": of(float),
            "ports": of(PortBudget),
            "memory": of(TableMemory),
            "findings": of(tuple[results.Finding, ...]),
            "course": of(OccupancySeries),
        }
    )
    return _headed("analyzer predict --json", forecast.SCHEMA_VERSION, body, document)


def capacity() -> Schema:
    """Of ``analyzer capacity --json``, whose document is made by hand: so is this."""
    document = _Document()
    of = document.of
    loads = dict.fromkeys(("worst_load_before_gbps", "worst_load_after_gbps"), of(float))
    held = {"vips": of(int), "vips_held": of(list[int]), "proven": of(bool)}
    lists = {"priorities": of(list[list[int]]), "gap": of(float)}
    judged = {"fits": of(bool), "why": of(str | None)}
    asked = ("link_gbps", "ingress_gbps", "egress_gbps", "utilisation", "burst")
    plan = object_with(loads | held | lists | {"fewest_proven": of(bool)})
    by_shares = object_with(loads | held | lists | judged | {"shares": of(list[float])})
    ecmp = object_with(dict.fromkeys(("load_before_gbps", "load_after_gbps"), of(float)))
    body = object_with(
        {"verdict": of(str), "feasible": of(bool), "why": of(str | None)}
        | {"hosts": of(int), "failures": of(int)}
        | dict.fromkeys(asked, of(float))
        | {
            "plans": object_with(dict.fromkeys(PLAN_NAMES, _or_null(plan))),
            "without_plan": of(dict[str, str]),
            "recommended": of(str | None),
            "table": {"type": "array", "items": object_with(loads | held | judged)},
            "by_shares": _or_null(by_shares),
            "ecmp": _or_null(ecmp),
        }
    )
    return _headed("analyzer capacity --json", capacity_results.SCHEMA_VERSION, body, document)


def capacity_proof() -> Schema:
    """Of ``loadgen capacity-proof --json``, also made by hand."""
    document = _Document()
    of = document.of
    carried = object_with(
        {"director": of(str), "measured_gbps": of(float | None), "difference": of(float | None)}
        | dict.fromkeys(("offered_gbps", "computed_gbps"), of(float))
    )
    counted = {"sent": of(int), "lost": of(int)}
    vip = object_with({"vip": of(str), "director": of(str)} | counted)
    state = object_with(
        {"window_s": of(float), "agrees": of(bool), "directors": _list_of(carried)}
        | counted
        | {"lost_share": of(float | None), "computed_lost_share": of(float)}
        | {"delay_ms": object_with(dict.fromkeys(("p50", "p99"), of(float | None)))}
        | {"sender_late_max_ms": of(float | None), "vips": _list_of(vip)}
    )
    loss = object_with(
        {"down": of(list[str]), "before": _or_null(state), "after": _or_null(state)}
        | {"away_s": of(dict[str, float]), "others_disturbed_s": of(float | None)}
    )
    body = object_with(
        {"run": of(str), "verdict": of(str), "holds": of(bool), "tolerance": of(float)}
        | {"ended": of(str | None)}
        | dict.fromkeys(("hosts", "failures", "vips"), of(int))
        | dict.fromkeys(("link_gbps", "ingress_gbps", "burst", "lab_scale"), of(float))
        | {"priorities": of(list[list[int]]), "directors": of(list[str])}
        | {"losses": _list_of(loss), "worst_difference": of(float | None)}
        | {"not_measured": _list_of(object_with({"what": of(str), "why": of(str)}))}
    )
    return _headed("loadgen capacity-proof --json", proof_results.SCHEMA_VERSION, body, document)


def _list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def sweep() -> Schema:
    """Of ``loadgen sweep --json`` and ``analyzer sweep --json``: types, and what they derive."""
    document = _Document()
    whether = document.of(bool | None)
    for kind, derived in (
        (sweep_results.Beside, "agrees"),
        (sweep_results.Point, "timeout_agrees"),
    ):
        shown = document.object_of(kind)
        keys = shown["properties"] | {derived: whether}
        document.definitions[kind.__name__] = shown | object_with(keys)
    body = document.object_of(sweep_results.Sweep)
    return _headed("loadgen sweep --json", sweep_results.SCHEMA_VERSION, body, document)


def verify() -> Schema:
    """Of ``loadgen verify --json``."""
    document = _Document()
    of = document.of
    director = {"director": of(str), "link": of(str | None)}
    director |= {"kernel": of(str | None), "hz": of(int | None)}
    counts = {"services": of(int), "entries": of(int | None), "sample_of": of(int | None)}
    told = {"vrrp_state": of(str | None), "sync_daemon": of(str | None)}
    counts |= {"templates": of(int | None), "orphans": of(int | None)}
    counts |= {"conn_max": of(int | None), "entry_bytes": of(int | None)}
    shown = object_with(
        director
        | {"timeouts_s": _or_null(of(states.Timeouts)), "connections_per_s": of(float | None)}
        | {"table_status": _or_null(of(TableStatus))}
        | counts
        | told
    )
    body = object_with(
        {
            "verdict": of(str),
            "lab": of(str | None),
            "directors": {"type": "array", "items": shown},
            "checks": of(tuple[health.Check, ...]),
        }
    )
    return _headed("loadgen verify --json", health.SCHEMA_VERSION, body, document)


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


DOCUMENTS: Mapping[str, Callable[[], Schema]] = {
    "report": report,
    "parse": parse,
    "predict": predict,
    "capacity": capacity,
    "capacity-proof": capacity_proof,
    "sweep": sweep,
    "verify": verify,
}
"""By the command that prints them."""
