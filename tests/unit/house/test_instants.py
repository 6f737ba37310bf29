"""No instant, Unix nanoseconds of about 1.8e18, passes through a float64 in any room.

A float64 holds such a number to 256 ns only: instants that were equal no longer are. What ends in
``_ns`` is an instant unless it is listed as a span; instants become floats only after they have
been subtracted from each other (``analyzer.recording.instants``).
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("analyzer", "reports", "loadgen")

SPANS = frozenset(
    {
        *("latency_ns", "lifetime_ns", "look_ns", "outside_ns", "left_ns", "since_ns"),
        "longest_pause_ns",
        *("offset_ns", "uncertainty_ns", "unsure_ns"),  # of a clock
    }
)
"""Names ending in ``_ns`` that mean a length of time in every module."""

ALLOWED = {
    ("loadgen/burst/metrics.py", "latest_ns"): "by how much the latest request was late: a span",
    ("loadgen/burst/progress.py", "latest_ns"): "by how much the latest request was late: a span",
    (
        "loadgen/director/boot_facts.py",
        "now_ns",
    ): "a director's monotonic clock, seconds since its boot",
    ("loadgen/collect/metrics.py", "polled_ns"): "Prometheus has its timestamps in seconds",
    ("loadgen/collect/metrics.py", "last_ns"): "Prometheus has its timestamps in seconds",
    ("loadgen/live/table.py", "at_ns"): "printed to the second",
}

_SAME = {"copy", "dropna", "item", "max", "min", "tolist", "sort_values", "fillna", "loc", "iloc"}
_AVERAGES = {"average", "interp", "mean", "median", "percentile", "quantile", "linspace"}
_ALIGNING = {"mask", "reindex", "shift", "unstack", "where"}
_CHOOSING = {"full", "full_like", "select", "where"}
_MAKING = {"array", "asarray", "Series"}


def instant(node: ast.expr | None) -> str | None:
    """The name of the instants that an expression is nothing but; None where it is not."""
    name = _last_name(node)
    if name in ("ns", "time_ns"):
        return name if isinstance(node, ast.Call) else None
    return name if name and name.endswith("_ns") and name not in SPANS else None


def _last_name(node: ast.expr | None) -> str | None:
    match node:
        case ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
        case ast.Attribute(value=value, attr=name):
            return _last_name(value) if name in _SAME else name
        case ast.Subscript(value=value):
            return _last_name(value)
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _SAME:
            return _last_name(value)
        case ast.Call(func=ast.Name(id="int" | "max" | "min"), args=[first, *_]):
            return _last_name(first)
        case ast.Call(func=ast.Name(id="ns") | ast.Attribute(attr="time_ns") as func):
            return _last_name(func)
    return None


def _function(node: ast.Call) -> str:
    return _last_name(node.func) or ""


def _is_float_type(node: ast.expr) -> bool:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return name.lower().startswith(("float", "double", "f8"))
    return False


def _makes_floats(call: ast.Call) -> bool:
    return any(_is_float_type(each) for each in [*call.args, *(k.value for k in call.keywords)])


def _is_float(node: ast.expr) -> bool:
    """Whether an expression is a float by its own text: 0.5, x / y, delay_s * 1e9."""
    match node:
        case ast.Constant(value=float()):
            return True
        case ast.BinOp(op=ast.Div()):
            return True
        case ast.BinOp(left=left, right=right):
            return _is_float(left) or _is_float(right)
    return False


def _divided(node: ast.AST) -> Iterator[ast.expr | None]:
    match node:
        case ast.BinOp(left=left, op=ast.Div()):
            yield left
        case ast.BinOp(left=left, op=ast.Mult() | ast.Add() | ast.Sub(), right=right):
            if _is_float(right):
                yield left
            if _is_float(left):
                yield right


def _converted(node: ast.AST) -> Iterator[ast.expr | None]:
    if not isinstance(node, ast.Call):
        return
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("astype", "to_numpy"):
        if _makes_floats(node):
            yield node.func.value
    elif _is_float_type(node.func) or (_function(node) in _MAKING and _makes_floats(node)):
        yield from node.args[:1]


def _averaged(node: ast.AST) -> Iterator[ast.expr | None]:
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=args) if name in _AVERAGES:
            yield from (value, *args)


def _aligned(node: ast.AST) -> Iterator[ast.expr | None]:
    """Where rows are missing, pandas makes floats of ``int64``; of ``Int64`` it does not."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in _ALIGNING:
            yield value


def _beside_nan(node: ast.AST) -> Iterator[ast.expr | None]:
    match node:
        case ast.Call(args=args) if _function(node) in _CHOOSING:
            if any(_last_name(each) in ("nan", "inf") for each in args):
                yield from args


WAYS: dict[str, Callable[[ast.AST], Iterator[ast.expr | None]]] = {
    "arithmetic with a float": _divided,
    "converted to a float": _converted,
    "averaged": _averaged,
    "aligned with missing rows": _aligned,
    "beside a NaN": _beside_nan,
}


def losses(source: str) -> list[tuple[int, str, str]]:
    """Line, name and way of every instant that passes through a float in a module's text."""
    return [
        (getattr(node, "lineno", 0), name, way)
        for node in ast.walk(ast.parse(source))
        for way, of in WAYS.items()
        for name in map(instant, of(node))
        if name
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_no_instant_passes_through_a_float(room: str) -> None:
    paths = sorted((ROOT / room).rglob("*.py"))
    assert paths
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name} {way}"
        for path in paths
        for line, name, way in losses(path.read_text())
        if (str(path.relative_to(ROOT)), name) not in ALLOWED
    ]
    assert not found, "subtract first (analyzer.recording.instants):\n" + "\n".join(found)


def test_what_is_allowed_is_still_there() -> None:
    """An exception that nothing needs any more would hide the next fault."""
    there = {
        (name, found) for name, _ in ALLOWED for _, found, _ in losses((ROOT / name).read_text())
    }
    assert set(ALLOWED) <= there


@pytest.mark.parametrize(
    "source",
    [
        'gone["last_ns"].to_numpy(dtype=np.float64) / 1e9',
        'gone["seen_ns"].astype("float64")',
        'gone["seen_ns"] / 2',
        "at_ns[here] / 1e9",
        'ns(rows["at"]) / 1e9',
        "time.time_ns() / 1e9",
        "int(at_ns.max()) / 1e9",
        "0.5 * self.began_ns",
        "at_ns + took_s * 1e9",
        "np.asarray(at_ns, dtype=np.float64)",
        "pd.Series(at_ns, dtype=float)",
        "float(at_ns)",
        "np.float64(one.at_ns)",
        "np.median(polled_ns)",
        "np.interp(at_ns, known, offsets)",
        "absent_ns.reindex(tracked.index)",
        'rows["at_ns"].shift()',
        "np.where(known, at_ns, np.nan)",
    ],
)
def test_the_lint_sees_an_instant_lost(source: str) -> None:
    assert losses(source)


@pytest.mark.parametrize(
    "source",
    [
        "(at_ns - zero_ns) / 1e9",
        "float(at_ns - zero_ns)",
        "at_ns + round(took_s * 1e9)",
        "at_ns + np.rint(took_s * 1e9).astype(np.int64)",
        "at_ns + 5 * _NS",
        "lifetime_ns / _NS",
        'gone["seen_ns"].to_numpy(dtype=np.int64)',
        'absent_ns.astype("Int64").reindex(tracked.index)',
        "np.where(known, at_ns, 0)",
        "np.median(np.diff(polled_ns))",
        "at_ns // 1000",
    ],
)
def test_the_lint_passes_what_keeps_every_nanosecond(source: str) -> None:
    assert not losses(source)
