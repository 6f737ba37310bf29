"""Both scripts in the test's own process: exit code and outputs, without their start-up."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from subprocess import CompletedProcess
from unittest.mock import patch

from loadgen.commands import analyzer, exit_code_of, loadgen

GROUPS = {"loadgen": loadgen.group, "analyzer": analyzer.group}


def run_in_process(script: str, *words: object) -> CompletedProcess[str]:
    """A script's exit code, standard output and standard error."""
    argv = [script, *map(str, words)]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        code = exit_code_of(GROUPS[script])
    return CompletedProcess(argv, code, *(s.buffer.getvalue().decode() for s in (out, err)))
