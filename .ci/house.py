"""The set-up behind `make`: look, list, ask, install. Run by `.ci/setup`.

Nothing is changed before every check has passed and the list has been shown. Exit codes: 0 all is
in place, 1 something could not be installed, 2 this machine will not do or the answer was no.

This file must at least be readable by an old Python, so that it can say that it is one.
"""

from __future__ import annotations

import sys

MODES = ("check", "demo", "test")


def old_python(version: tuple[int, ...]) -> str | None:
    """The line for a Python that is too old; None if it is not."""
    if version >= (3, 11):
        return None
    found = ".".join(map(str, version[:3]))
    return f"this Python is {found}: 3.11 or newer is needed (PYTHON=... names another)"


def say(line: str) -> None:
    """One line on standard error, at once."""
    sys.stderr.write(f"set-up: {line}\n")
    sys.stderr.flush()


def yes(question: str) -> bool:
    """Ask, if somebody can answer: not without a terminal, nor with YES=1 or CI set."""
    import os

    if not sys.stdin.isatty() or os.environ.get("YES") == "1" or os.environ.get("CI"):
        return True
    return input(f"set-up: {question} [Y/n] ").strip().lower() in ("", "y", "yes")


def main(arguments: list[str]) -> int:
    """Set up for one of MODES."""
    line = old_python(tuple(sys.version_info[:3]))
    if line:
        say(line)
        return 2
    if len(arguments) != 1 or arguments[0] not in MODES:
        say(f"one of {', '.join(MODES)} is expected, got {arguments}")
        return 2
    return set_up(arguments[0])


def set_up(mode: str) -> int:
    """Bring this machine to what the mode needs."""
    import debian
    import quiet_apt

    lab = mode != "check"
    cut_short = quiet_apt.interrupted()
    if not may_go_on(lab=lab, install=cut_short or bool(debian.missing(mode))):
        return 2
    if cut_short:
        say("an earlier set-up was cut short: putting its traces in order")
        code = debian.run_quiet_apt(["recover"])
        if code != 0:
            return code
    return install(mode, debian.missing(mode))


def may_go_on(*, lab: bool, install: bool) -> bool:
    """Whether this machine will do; says what is in the way, or good to know."""
    import preflight

    host = preflight.look()
    problems = preflight.problems(host, lab=lab, install=install)
    for line in problems or (preflight.notes(host) if lab else []):
        say(line)
    return not problems


def install(mode: str, packages: list[str]) -> int:
    """List what is to be installed, ask, and do it."""
    import debian
    import environment

    root = environment.checkout()
    work = environment.work_to_do(root, mode)
    if not packages and not work:
        return 0
    say("this will be installed:")
    if packages:
        say(f"  by apt, no service started or enabled: {' '.join(packages)}")
    if work:
        say(f"  in {root / '.venv'}: {work}")
    if not yes("go on?"):
        say("nothing was changed")
        return 2
    code = debian.run_quiet_apt(["install", *packages]) if packages else 0
    return code or environment.make(root, mode, say)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (KeyboardInterrupt, EOFError):
        sys.stderr.write("\n")
        say("interrupted; the next start takes up from here")
        sys.exit(130)
