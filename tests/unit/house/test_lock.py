"""The lock file: each package pinned to a version and its files' hashes, from no named place."""

from __future__ import annotations

import re
import tomllib

import environment

ROOT = environment.checkout()
TEXT = (ROOT / "requirements.lock").read_text()
PACKAGE = re.compile(
    r"^(?P<name>[a-z0-9-]+)==[^ ]+ (?:; [^\\\n]+)?\\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+",
    re.M,
)


def locked() -> set[str]:
    return {match["name"] for match in PACKAGE.finditer(TEXT)}


def test_the_lock_file_names_no_place() -> None:
    assert "://" not in TEXT
    assert "index" not in re.sub(r"^ *#.*$", "", TEXT, flags=re.MULTILINE)


def test_every_line_is_a_pin_a_hash_or_a_comment() -> None:
    rest = re.sub(r"^ *#.*\n", "", PACKAGE.sub("", TEXT), flags=re.MULTILINE)

    assert rest.strip() == ""


def test_all_that_the_project_asks_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {*project["dependencies"], *project["optional-dependencies"]["dev"]}

    assert {re.split(r"[^a-z0-9-]", name)[0] for name in asked} <= locked()
