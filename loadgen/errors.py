"""Every error that an operator can meet, and the exit code each one ends with.

LoadgenError
├── UsageProblem      2   wrong flags, configuration or surroundings; nothing was sent
├── RunFailed         1   the run itself failed
└── CheckFailed      99   a check or threshold did not hold

Only ``loadgen.commands`` turns these into a line on standard error and an exit code.
"""


class LoadgenError(Exception):
    """One clear line for the operator: what, where, what was expected."""

    exit_code = 1

    @property
    def recorded(self) -> str:
        """The line, as a recording may hold it."""
        return str(self)


class UsageProblem(LoadgenError):
    """The command line, the configuration or the machine does not allow what was asked."""

    exit_code = 2


class RunFailed(LoadgenError):
    """What was asked was tried, and failed."""

    exit_code = 1


class CheckFailed(LoadgenError):
    """A measured value broke an expectation."""

    exit_code = 99


INTERRUPTED_EXIT_CODE = 130
