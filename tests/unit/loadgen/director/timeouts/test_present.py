"""Who sets a director's timeouts."""

from __future__ import annotations

import ast
from pathlib import Path

import loadgen

PACKAGE = Path(loadgen.__file__).parent
LINKS, TIMEOUTS = Path("director/links"), Path("director/timeouts")


def callers_of(method: str) -> set[Path]:
    """The modules of loadgen that call a method of this name."""
    return {
        path.relative_to(PACKAGE)
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    }


def test_only_the_room_that_puts_timeouts_back_sets_them() -> None:
    by_links, others = set[Path](), set[Path]()
    for path in callers_of("set_timeouts"):
        (by_links if path.is_relative_to(LINKS) else others).add(path)
    assert by_links == {LINKS / "local.py"}  # hands it on to netlink, or to the shell
    assert others == {TIMEOUTS / "present.py"}
