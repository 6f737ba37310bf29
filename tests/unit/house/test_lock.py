"""The lock files: each package pinned to a version and its files' hashes, from no named place."""

from __future__ import annotations

import re
import tomllib

import environment
import pytest

ROOT = environment.checkout()
TEXTS = {name: (ROOT / name).read_text() for name in environment.LOCKS["test"]}
PACKAGE = re.compile(
    r"^(?P<name>[a-z0-9-]+)==[^ ]+ (?:; [^\\\n]+)?\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+",
    re.M,
)


def locked(name: str) -> set[str]:
    return {match["name"] for match in PACKAGE.finditer(TEXTS[name])}


def asked(*lists: list[str]) -> set[str]:
    return {re.split(r"[^a-z0-9-]", line)[0] for lines in lists for line in lines}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_lock_file_names_no_place(text: str) -> None:
    assert "://" not in text
    assert "index" not in re.sub(r"^ *#.*$", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_every_line_is_a_pin_a_hash_or_a_comment(text: str) -> None:
    rest = re.sub(r"^ *#.*\n", "", PACKAGE.sub("", text), flags=re.MULTILINE)

    assert rest.strip() == ""


def test_all_that_the_project_asks_for_is_locked() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project, build = document["project"], document["build-system"]["requires"]
    runs, develops = locked("requirements.lock"), locked("requirements-dev.lock")

    assert asked(project["dependencies"], build) <= runs
    for extra in ("cluster", "dev"):
        assert asked(project["optional-dependencies"][extra]) <= runs | develops


def test_no_package_is_pinned_twice() -> None:
    assert not locked("requirements.lock") & locked("requirements-dev.lock")
