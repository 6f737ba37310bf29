"""What jinja compiled is kept as Python keeps bytecode, and used only for what it was made of."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import jinja2
import pytest
from jinja2 import nodes

from reports.compiled_templates import CompiledTemplates
from reports.run.page import environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("written")


class Counting(jinja2.Environment):
    """Counts what it compiles."""

    compiled = 0

    def compile(self, *args: Any, **named: Any) -> Any:
        self.compiled += 1
        return super().compile(*args, **named)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    template = tmp_path / "page.html"
    template.write_text("one {{ 1 + 1 }}\n  {% if true %}\nthree\n  {% endif %}\n")
    return template


def rendered(template: Path, syntax: Mapping[str, bool]) -> tuple[str, int]:
    """The text, and how many templates were compiled for it."""
    loader = jinja2.FileSystemLoader(template.parent)
    made = Counting(
        loader=loader, bytecode_cache=CompiledTemplates(syntax), **dict[str, Any](syntax)
    )
    return made.get_template(template.name).render(), made.compiled


def kept(template: Path) -> list[Path]:
    return sorted((template.parent / "__pycache__").glob("*"))


TRIMMED = {"trim_blocks": True, "lstrip_blocks": True}


def test_a_template_is_compiled_once(template: Path) -> None:
    assert rendered(template, TRIMMED) == ("one 2\nthree\n", 1)
    assert [path.name.partition(".")[0] for path in kept(template)] == ["page"]
    assert rendered(template, TRIMMED) == ("one 2\nthree\n", 0)


def test_another_text_or_syntax_is_compiled_anew(template: Path) -> None:
    rendered(template, TRIMMED)
    assert rendered(template, {"trim_blocks": False})[1] == 1
    template.write_text("two")
    assert rendered(template, {"trim_blocks": False}) == ("two", 1)


def test_another_jinja_compiles_anew(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(template, TRIMMED)
    monkeypatch.setattr(jinja2, "__version__", "99")
    assert rendered(template, TRIMMED)[1] == 1


def test_what_is_damaged_is_compiled_anew(template: Path) -> None:
    rendered(template, TRIMMED)
    (path,) = kept(template)
    whole = path.read_bytes()
    for damaged in (b"", whole[: len(whole) // 2], whole[:20] + b"\xff" * 40):
        path.write_bytes(damaged)
        assert rendered(template, TRIMMED) == ("one 2\nthree\n", 1)
    assert path.read_bytes() == whole


def test_nothing_is_written_where_python_writes_none(
    template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(template, TRIMMED)[1] == 1
    assert kept(template) == []


def test_a_folder_that_takes_nothing_costs_only_time(template: Path) -> None:
    (template.parent / "__pycache__").write_text("a file")
    assert rendered(template, TRIMMED) == rendered(template, TRIMMED) == ("one 2\nthree\n", 1)


@pytest.mark.parametrize("name", environment().list_templates(extensions=("html", "svg")))
def test_no_filter_is_part_of_what_a_template_is_compiled_to(name: str) -> None:
    """Jinja computes a filter of a constant as it compiles, and our filters change."""
    made = environment()
    assert made.loader
    source, _, _ = made.loader.get_source(made, name)
    for applied in made.parse(source).find_all(nodes.Filter):
        with pytest.raises(nodes.Impossible):
            applied.as_const(nodes.EvalContext(made))
