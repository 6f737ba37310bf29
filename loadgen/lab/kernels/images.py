"""Kernel images: a User-Mode Linux program and its modules, by version or by directory.

A version is looked for where the machine's package manager put one, then in the cache; a directory
holds ``linux.uml`` and ``modules/RELEASE/``, such as one built from a distribution's linux-source
with production's HZ (docs/lab.md).
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import UsageProblem
from loadgen.lab.system.programs import search_path
from loadgen.session.files import home_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Say = Callable[[str], None]

PROGRAM = "linux.uml"
INSTALLED_MODULES = Path("/usr/lib/uml/modules")
INSTALLED = ""
"""The specification of the kernel that the machine's package manager installed, whichever it is."""

VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")

RELEASES: Mapping[str, str] = {
    "5.10": "bullseye",
    "6.1": "bookworm",
    "6.12": "trixie",
    "7.2": "sid",
}
"""Kernel version -> the Debian release whose package ``user-mode-linux`` has it."""

WAYS_LEFT = "give --kernel-image a directory with linux.uml and modules/ (docs/lab.md)"


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelImage:
    """One bootable kernel.

    Attributes:
        program: the User-Mode Linux executable.
        modules: the directory that holds its modules, one subdirectory per kernel release.
    """

    program: Path
    modules: Path


def is_directory(specification: str) -> bool:
    """Whether a specification names a directory, not a version."""
    return "/" in specification or specification in (".", "..")


def parse(text: str, directors: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The kernel image of each director, from ``7.2`` or ``bal01=5.10,bal02=7.2``.

    Args:
        text: one specification for all directors, or DIRECTOR=SPECIFICATION pairs.
        directors: the names that there are.

    Returns:
        Pairs of director and specification, in the order of ``directors``; a director that is not
        named keeps the installed kernel and has no pair.

    Raises:
        UsageProblem: a director that does not exist, one named twice, or no specification.
    """
    if "=" not in text or text.startswith(("/", ".", "~")):
        specification = checked(text)
        return tuple((name, specification) for name in directors)
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, specification = part.strip().partition("=")
        if not equals or name in given:
            raise UsageProblem(f"--kernel-image: expected DIRECTOR=VERSION once each, not {part!r}")
        given[name] = specification
    return of_directors(given, directors)


def of_directors(given: Mapping[str, str], directors: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of director and specification, in the order of the directors.

    Raises:
        UsageProblem: a director that does not exist, or no specification.
    """
    names = list(directors)
    for name in given:
        if name not in names:
            known = ", ".join(names)
            raise UsageProblem(f"--kernel-image: no director {name!r}; there are {known}")
    return tuple((name, checked(given[name])) for name in names if name in given)


def checked(specification: str) -> str:
    """A specification that may be one: a version as it is, a directory as an absolute path.

    Raises:
        UsageProblem: it is neither.
    """
    if VERSION.fullmatch(specification):
        return specification
    if is_directory(specification):
        return str(Path(specification).expanduser().resolve())
    known = ", ".join(RELEASES)
    raise UsageProblem(
        f"kernel image: expected a version such as {known}, or a directory, not {specification!r}"
    )


def find(specification: str) -> KernelImage | None:
    """The image, if it is on this machine; None if it would have to be fetched.

    Raises:
        UsageProblem: a directory that holds none.
    """
    if is_directory(specification):
        return in_directory(Path(specification))
    return _installed(specification) or _cached(specification)


def in_directory(directory: Path) -> KernelImage:
    """The image that a directory holds.

    Raises:
        UsageProblem: it lacks ``linux.uml`` or ``modules/RELEASE/``; the line says which.
    """
    program, modules = directory / PROGRAM, directory / "modules"
    if any(map(str.isspace, str(directory))):
        raise UsageProblem(f"kernel image {str(directory)!r}: expected a path without blanks")
    if not os.access(program, os.X_OK):
        raise UsageProblem(f"kernel image {directory}: it has no program {PROGRAM}")
    if not releases(modules):
        raise UsageProblem(
            f"kernel image {directory}: expected the modules in modules/RELEASE/ with modules.dep"
        )
    return KernelImage(program=program, modules=modules)


def releases(modules: Path) -> list[str]:
    """The kernel releases that a directory has modules of."""
    return sorted(path.parent.name for path in modules.glob("*/modules.dep"))


def has_module(image: KernelImage, name: str) -> bool:
    """Whether each of its kernel releases has a module of that name, loadable or built in."""
    there = releases(image.modules)
    return bool(there) and all(_lists(image.modules / release, name) for release in there)


def _lists(directory: Path, name: str) -> bool:
    pattern = re.compile(rf"/{re.escape(name)}\.ko\b")
    texts = (directory / "modules.dep", directory / "modules.builtin")
    return any(pattern.search(path.read_text()) for path in texts if path.exists())


def is_of_version(release: str, version: str) -> bool:
    """Whether a kernel release such as 6.1.176 belongs to a version such as 6.1."""
    return release == version or release.startswith((f"{version}.", f"{version}-"))


def cache() -> Path:
    """Where fetched images are kept: $XDG_CACHE_HOME, else ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    if base and Path(base).is_absolute():
        return Path(base) / "ipvs-loadgen" / "kernels"
    home = home_directory()
    if home is None:
        raise UsageProblem("this user has no home directory; set HOME or XDG_CACHE_HOME")
    return home / ".cache" / "ipvs-loadgen" / "kernels"


def _installed(version: str) -> KernelImage | None:
    program = shutil.which(PROGRAM, path=search_path())
    there = releases(INSTALLED_MODULES)
    if program is None or not there:
        return None
    if version != INSTALLED and not any(is_of_version(release, version) for release in there):
        return None
    return KernelImage(program=Path(program), modules=INSTALLED_MODULES)


def _cached(version: str) -> KernelImage | None:
    directory = cache() / version
    return in_directory(directory) if version != INSTALLED and directory.is_dir() else None
