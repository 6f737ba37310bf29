"""What the docs refer to is there: files, sections of each other, commands with their options."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from loadgen.commands import analyzer, loadgen

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
ROOMS = ("analyzer", "loadgen", "reports", "tests", "docs")
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@cache
def modules() -> tuple[str, ...]:
    """The path of every module, tests included, with a slash before it."""
    found = (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return tuple(f"/{path.relative_to(ROOT)}" for path in found)


@cache
def sections(page: Path) -> frozenset[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return frozenset(re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings)


@EVERY_PAGE
def test_modules_that_a_page_names_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`([\w./-]+\.py)`", text) + re.findall(r"tests/[\w./-]+\.py", text)
    assert not [one for one in named if not any(m.endswith(f"/{one}") for m in modules())]


@EVERY_PAGE
def test_folders_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`((?:analyzer|loadgen|reports|tests)/[\w/]*)`", page.read_text("utf-8"))
    assert not [one for one in named if not (ROOT / one).is_dir()]


@EVERY_PAGE
def test_links_lead_to_files_and_sections_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text("utf-8"))
    for name, section in links:
        target = page.parent / name if name else page
        assert target.exists(), name
        assert not section or section in sections(target), f"{name}#{section}"


@cache
def commands() -> dict[str, frozenset[str]]:
    """The options of every command, by its words."""
    groups = {"loadgen": loadgen.group, "analyzer": analyzer.group}
    return {name: opts for first, group in groups.items() for name, opts in options(group, first)}


def options(command: click.Command, name: str) -> Iterator[tuple[str, frozenset[str]]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            inner = command.get_command(context, word)
            assert inner is not None
            yield from options(inner, f"{name} {word}")
    else:
        flags = (flag for one in command.params for flag in (*one.opts, *one.secondary_opts))
        yield name, frozenset(flags)


def typed(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The commands of a page, each with its options; what stands in quotes is left out."""
    text = re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8"))
    for line in text.splitlines():
        bare = re.sub(r"'[^']*'|\"[^\"]*\"", "''", line)
        for program, rest in re.findall(r"\b(loadgen|analyzer) ([a-z][^`#|]*)", bare):
            words = rest.split(" -- ")[0].split()
            name = " ".join([program, *words[: 2 if words[0] == "lab" else 1]])
            yield name, re.findall(r"(?<!\S)--?[a-zA-Z][\w-]*", " ".join(words))


@EVERY_PAGE
def test_commands_that_a_page_types_have_their_options(page: Path) -> None:
    for name, flags in typed(page):
        known = commands().get(name, frozenset(flags))  # prose names the programs, too
        assert {*flags} - {"--help"} <= known, name


def test_every_command_is_typed_on_some_page() -> None:
    assert set(commands()) <= {name for page in PAGES for name, _ in typed(page)}
