"""Fetch a User-Mode Linux of another version: Debian's own package, by apt, into a cache.

Nothing is installed and the machine's own apt lists stay as they are: apt gets directories of its
own (apt.conf(5), ``Dir::``). The packages are checked by the keys of Debian's archive. A program
that needs a newer C library than the machine's gets the one of its own release beside it;
patchelf(1) writes that library's path into the program, because some kernels execute themselves
again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loadgen.errors import RunFailed, UsageProblem
from loadgen.lab.kernels import images
from loadgen.lab.system.programs import environment, run_program

if TYPE_CHECKING:
    from loadgen.lab.kernels.images import KernelImage, Say

KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
MIRROR_VARIABLE = "LOADGEN_DEBIAN_MIRROR"
FETCH_LIMIT_S = 300.0
LOADER = "ld-linux-x86-64.so.2"
NEWEST = "sid"


def provide(specification: str, say: Say) -> KernelImage:
    """The image of a version or a directory; fetched if it is not on this machine.

    Raises:
        UsageProblem: no such image is to be had; one line says why and what else there is.
    """
    image = images.find(specification)
    if image is not None:
        return image
    if specification == images.INSTALLED:
        raise UsageProblem(
            "user-mode-linux is not installed: apt install user-mode-linux; where there is no such "
            "package (Ubuntu 24.04): --kernel-image 6.1 fetches Debian's, --kernel-image DIR boots "
            "one of your own, --kernel host needs a kernel with ip_vs here (docs/lab.md)"
        )
    release = _release_of(specification)
    say(f"kernel {specification}: fetching user-mode-linux of Debian {release}")
    directory = images.cache() / specification
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".fetching-") as work:
        _unpack(specification, release, Path(work), directory)
        with suppress(FileNotFoundError):
            shutil.rmtree(directory)
        (Path(work) / "image").rename(directory)
    if not _runs(directory / images.PROGRAM):
        shutil.rmtree(directory)
        raise UsageProblem(
            f"kernel {specification}: {images.PROGRAM} of Debian {release} does not run here; "
            f"{images.WAYS_LEFT}"
        )
    return images.in_directory(directory)


def _release_of(version: str) -> str:
    """The Debian release that is asked for a version; a newer one may be in the newest release."""
    newest = max(images.RELEASES, key=_numbers)
    release = images.RELEASES.get(version, NEWEST if _numbers(version) > _numbers(newest) else None)
    if release is None:
        known = ", ".join(images.RELEASES)
        raise UsageProblem(
            f"kernel {version}: Debian has user-mode-linux of {known} only; {images.WAYS_LEFT}"
        )
    return release


def _unpack(version: str, release: str, work: Path, final: Path) -> None:
    """Download and unpack into ``work/image``, made so that it runs as ``final``."""
    apt = _Apt(work, release)
    apt.update(version)
    unpacked = work / "unpacked"
    apt.unpack("user-mode-linux", version, unpacked)
    modules = unpacked / "usr/lib/uml/modules"
    releases = images.releases(modules)
    if not any(images.is_of_version(name, version) for name in releases):
        raise UsageProblem(
            f"kernel {version}: Debian {release} has user-mode-linux {', '.join(releases)} now; "
            f"{images.WAYS_LEFT}"
        )
    image = work / "image"
    image.mkdir()
    shutil.move(unpacked / "usr/bin" / images.PROGRAM, image / images.PROGRAM)
    shutil.move(modules, image / "modules")
    if not _runs(image / images.PROGRAM):
        apt.unpack("libc6", version, work / "libc")
        _add_c_library(version, work / "libc", image, final)


def _add_c_library(version: str, unpacked: Path, image: Path, final: Path) -> None:
    """Put a release's C library beside the program, and its path in ``final`` into the program."""
    if shutil.which("patchelf") is None:
        raise UsageProblem(
            f"kernel {version} needs a newer C library than this machine's, "
            "and patchelf to use it: apt install patchelf"
        )
    loader = next(unpacked.glob(f"**/x86_64-linux-gnu/{LOADER}"), None)
    if loader is None:
        raise UsageProblem(f"kernel {version}: its release's libc6 has no {LOADER}")
    shutil.copytree(loader.parent, image / "lib", symlinks=True)
    argv = [
        *("patchelf", "--set-interpreter", str(final / "lib" / LOADER)),
        *("--set-rpath", str(final / "lib"), str(image / images.PROGRAM)),
    ]
    run_program(f"kernel {version}", argv)


def _runs(program: Path) -> bool:
    """Whether the program starts here at all: ``linux.uml --version`` prints and ends."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


class _Apt:
    """apt with directories of its own, for one Debian release."""

    def __init__(self, work: Path, release: str) -> None:
        self._release = release
        self._work = work
        self._options = _options(work)
        source = f"deb [arch=amd64 signed-by={keyring()}] {debian_mirror()} {release} main\n"
        for name in ("state/lists/partial", "cache/archives/partial"):
            (work / name).mkdir(parents=True)
        (work / "state/status").touch()
        (work / "sources.list").write_text(source)

    def update(self, version: str) -> None:
        """Fetch the release's list of packages."""
        self._get(version, ["update"], self._work)

    def unpack(self, package: str, version: str, target: Path) -> None:
        """Download one package and unpack it, without running any of its scripts."""
        place = self._work / f"deb-{package}"
        place.mkdir()
        self._get(version, ["download", package], place)
        (archive,) = place.glob("*.deb")
        run_program(
            f"kernel {version}",
            ["dpkg-deb", "--extract", str(archive), str(target)],
            limit_s=FETCH_LIMIT_S,
        )

    def _get(self, version: str, words: list[str], directory: Path) -> None:
        argv = ["apt-get", "-q", *self._options, *words]
        try:
            done = subprocess.run(
                argv,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=FETCH_LIMIT_S,
                env=environment(),
                check=False,
            )
        except FileNotFoundError as error:
            raise UsageProblem(f"kernel {version}: no apt-get here; {images.WAYS_LEFT}") from error
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"kernel {version}: apt-get {words[0]} did not end") from error
        if done.returncode != 0:
            last = [line for line in done.stderr.splitlines() if line.startswith("E: ")][:1]
            why = last[0].removeprefix("E: ") if last else f"exit code {done.returncode}"
            raise UsageProblem(
                f"kernel {version}: Debian {self._release} cannot be fetched: {why}; "
                f"{images.WAYS_LEFT}"
            )


def _options(work: Path) -> list[str]:
    """The options (apt.conf(5)): everything of its own, nothing of the machine's settings."""
    values = {
        "Dir::State": work / "state",
        "Dir::State::status": work / "state/status",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root" if os.geteuid() == 0 else "",
        "APT::Architecture": "amd64",
    }
    return [word for name, value in values.items() for word in ("-o", f"{name}={value}")]


def keyring() -> Path:
    """The keys of Debian's archive.

    Raises:
        UsageProblem: they are not on this machine.
    """
    keys = next((path for path in KEYRINGS if path.exists()), None)
    if keys is None:
        raise UsageProblem(
            "the keys of Debian's archive are not here: apt install debian-archive-keyring"
        )
    return keys


def debian_mirror() -> str:
    """Where Debian is fetched from: what the operator says, else the machine's own mirror.

    Raises:
        UsageProblem: the machine gets no Debian packages (apt-get indextargets names none).
    """
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        if not mirror.startswith(("http://", "https://", "file:/")) or any(
            map(str.isspace, mirror)
        ):
            raise UsageProblem(f"{MIRROR_VARIABLE}: expected the address of a Debian mirror")
        return mirror
    argv = ["apt-get", "indextargets", "--format", "$(LABEL) $(COMPONENT) $(REPO_URI)"]
    try:
        lines = run_program("apt's sources", [*argv, "Identifier: Packages"]).splitlines()
    except RunFailed:
        lines = []
    for line in lines:
        label, component, address = [*line.split(" "), "", "", ""][:3]
        if label == "Debian" and component == "main" and address:
            return address
    raise UsageProblem(
        f"this machine has no Debian mirror among its apt sources: set {MIRROR_VARIABLE} to one, "
        f"or {images.WAYS_LEFT}"
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
