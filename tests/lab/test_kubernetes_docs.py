"""docs/kubernetes.md and docs/pipelines.md: each command is run, and what is shown is compared."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loadgen.lab.lab import down
from tests.lab.test_lab_docs import assert_shown, run

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).parents[2] / "docs"
BLOCK = re.compile(r"^```(sh|text|toml|yaml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[str, str]]:
    return BLOCK.findall((DOCS / page).read_text())


@pytest.fixture
def environment(lab_prefix: str) -> Iterator[dict[str, str]]:
    """A user's, whose lab is not called ``lab``; it is down at the end."""
    name = f"{lab_prefix}-pages"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    yield {**os.environ, "PATH": path, "LOADGEN_LAB": name}
    down(name)


@pytest.mark.parametrize("page", ["kubernetes.md", "pipelines.md"])
def test_every_command_works_and_shows_what_the_page_says(
    page: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    printed = ""
    for language, text in blocks(page):
        if language == "toml":
            (tmp_path / "policy.toml").write_text(text)
        elif language == "sh":
            printed = "".join(run(line, tmp_path, environment) for line in text.splitlines())
        elif language == "text":
            assert_shown(text, printed)


def test_the_pipelines_run_the_commands_that_were_tried() -> None:
    found = blocks("pipelines.md")
    (shell,) = [text for language, text in found if language == "sh"]
    for yaml in [text for language, text in found if language == "yaml"]:
        words = re.findall(r"^ +- (?:run: )?((?:loadgen|analyzer) .*)$", yaml, re.MULTILINE)
        assert len(words) >= 2
        assert set(words) <= set(shell.splitlines())
