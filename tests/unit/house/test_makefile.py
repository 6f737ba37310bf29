"""What `make` offers, and how CI calls it."""

from __future__ import annotations

import os
import re
import subprocess
from typing import TYPE_CHECKING

import environment

if TYPE_CHECKING:
    from pathlib import Path

ROOT = environment.checkout()
PUBLIC = {
    *("help", "demo", "test", "test-kernels", "test-distros", "check", "bench"),
    *("fuzz", "mutants", "gallery", "man", "clean"),
}


def test_make_alone_lists_every_target() -> None:
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)

    assert set(re.findall(r"^  make ([\w-]+)", done.stdout, re.MULTILINE)) == PUBLIC


def test_every_target_is_listed_in_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert set(phony.split()) == PUBLIC


def test_ci_runs_make_test_at_the_root_without_stdin_and_passes_the_exit_code_on(
    tmp_path: Path,
) -> None:
    fake = tmp_path / "make"
    fake.write_text('#!/bin/sh\necho "$* $PWD CI=$CI"; cat; exit 5\n')
    fake.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environ.pop("CI", None)

    done = subprocess.run(
        [ROOT / ".ci" / "run"],
        cwd="/",
        env=environ,
        input="never read",
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == (f"test {ROOT} CI=true\n", 5)
