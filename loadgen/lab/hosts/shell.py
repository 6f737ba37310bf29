"""``lab shell``: become a shell, or one command, on a host of the lab."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

from loadgen.errors import RunFailed
from loadgen.lab.report import find
from loadgen.lab.system.programs import environment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgen.lab.lab import Lab


def replace_process(lab_name: str, host_name: str, argv: Sequence[str]) -> NoReturn:
    """Run the host's shell or the command in place of this process: its exit code is ours.

    Raises:
        UsageProblem: no such host.
        RunFailed: no such lab, or it cannot be started.
    """
    command = shell_command(find(lab_name), host_name, argv)
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvpe(command[0], command, dict(environment()))  # noqa: S606 - that is the point
    except OSError as error:
        raise RunFailed(f"{command[0]}: {error.strerror}") from error


def shell_command(lab: Lab, host_name: str, argv: Sequence[str]) -> list[str]:
    """The command line; without ``argv`` an interactive shell."""
    interactive = ["env", f"PS1={host_name}# ", "bash", "--norc"]
    return lab.command(host_name, argv or interactive, terminal=sys.stdin.isatty())
