"""docs/pipelines.md: its workflow files are complete, valid, and fetch what they name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

PAGE = (Path(__file__).parents[3] / "docs" / "pipelines.md").read_text()
GITHUB, GITLAB = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SCHEMAS = {
    "github": (GITHUB, "vendor.github-workflows"),
    "gitlab": (GITLAB, "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}
INSTALLED_IN = "/opt/loadgen"


def loaded(text: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return document


def validated(text: str, schema: str, *flags: str, at: Path) -> subprocess.CompletedProcess[str]:
    """Check a workflow against a schema that the checker ships."""
    file = at / "workflow.yml"
    file.write_text(text)
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *flags]
    return subprocess.run([*command, str(file)], check=False, capture_output=True, text=True)


def install_lines() -> dict[str, list[str]]:
    """The shell lines of each file that install loadgen."""
    (step,) = [
        step
        for step in loaded(GITHUB)["jobs"]["director"]["steps"]
        if step.get("name") == "Install loadgen"
    ]
    return {
        "github": step["run"].splitlines(),
        "gitlab": loaded(GITLAB)["director"]["before_script"],
    }


@pytest.mark.parametrize("service", SCHEMAS)
def test_a_workflow_is_valid_by_its_services_schema(service: str, tmp_path: Path) -> None:
    text, schema, *flags = SCHEMAS[service]
    answer = validated(text, schema, *flags, at=tmp_path)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("service", "old", "new"),
    [("github", "runs-on:", "run-on:"), ("gitlab", "when: always", "when: ever")],
)
def test_the_schema_refuses_a_slip(service: str, old: str, new: str, tmp_path: Path) -> None:
    text, schema, *flags = SCHEMAS[service]
    assert old in text
    answer = validated(text.replace(old, new), schema, *flags, at=tmp_path)
    assert answer.returncode == 1


def test_the_github_file_stands_alone() -> None:
    workflow = loaded(GITHUB)
    assert {"name", "on", "permissions", "env", "jobs"} <= set(workflow)
    assert workflow["permissions"] == {"contents": "read"}
    steps = workflow["jobs"]["director"]["steps"]
    assert steps[0]["uses"].startswith("actions/checkout@")
    assert steps[-1]["uses"].startswith("actions/upload-artifact@")
    assert steps[-1]["with"]["path"].split() == ["run", "report.xml"]


def test_the_gitlab_file_keeps_the_run_and_shows_the_junit_report() -> None:
    artifacts = loaded(GITLAB)["director"]["artifacts"]
    assert artifacts["when"] == "always"
    assert artifacts["paths"] == ["run", "report.xml"]
    assert artifacts["reports"] == {"junit": "report.xml"}


def test_both_install_alike() -> None:
    lines = install_lines()
    assert lines["github"][:-1] == lines["gitlab"][:-1]
    assert f"{INSTALLED_IN}/.ci/setup demo" in lines["github"]


@pytest.fixture
def upstream(tmp_path: Path) -> tuple[Path, str]:
    """A repository with a tagged commit, which a later one follows; its place and that commit."""
    place = tmp_path / "upstream"
    names = ["-c", "user.name=x", "-c", "user.email=x@example.com"]

    def git(*words: str) -> str:
        command = ["git", "-C", str(place), *names, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    place.mkdir()
    git("init", "--quiet")
    (place / "version").write_text("old")
    git("add", "version")
    git("commit", "--quiet", "-m", "old")
    git("tag", "v0.1.0")
    (place / "version").write_text("new")
    git("commit", "--quiet", "-a", "-m", "new")
    return place, git("rev-parse", "v0.1.0")


@pytest.mark.parametrize("by", ["tag", "commit"])
def test_loadgen_is_fetched_by_tag_and_by_commit(
    by: str, upstream: tuple[Path, str], tmp_path: Path
) -> None:
    place, commit = upstream
    to = tmp_path / "loadgen"
    ref = "v0.1.0" if by == "tag" else commit
    lines = [line for line in install_lines()["github"] if line.startswith("git ")]
    script = "\n".join(lines).replace(INSTALLED_IN, str(to))
    environment = {**os.environ, "LOADGEN_URL": place.as_uri(), "LOADGEN_REF": ref}
    subprocess.run(["sh", "-e", "-c", script], check=True, env=environment)
    assert (to / "version").read_text() == "old"
