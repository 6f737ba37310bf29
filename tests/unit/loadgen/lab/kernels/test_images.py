"""Which kernel image a director boots: named by version or directory, found or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.lab.kernels import fetch, images
from loadgen.lab.topology.contradictions import check
from loadgen.lab.topology.file import from_toml, to_toml
from loadgen.lab.topology.layout import with_kernel_image
from loadgen.lab.topology.model import Kernel, difference, exercise

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORS = ("bal01", "bal02")


def make_image(directory: Path, release: str = "6.12.9") -> Path:
    modules = directory / "modules" / release
    modules.mkdir(parents=True)
    (modules / "modules.dep").touch()
    program = directory / "linux.uml"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return directory


def test_one_version_is_for_all_directors() -> None:
    assert images.parse("7.2", DIRECTORS) == (("bal01", "7.2"), ("bal02", "7.2"))


def test_a_director_may_have_an_image_of_its_own() -> None:
    assert images.parse("bal02=5.10", DIRECTORS) == (("bal02", "5.10"),)
    assert images.parse("bal02=7.2,bal01=5.10", DIRECTORS) == (("bal01", "5.10"), ("bal02", "7.2"))


def test_a_directory_becomes_an_absolute_path(tmp_path: Path) -> None:
    (found,) = images.parse(f"bal01={tmp_path}/x/../y", DIRECTORS)
    assert found == ("bal01", f"{tmp_path}/y")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bal03=7.2", "no director 'bal03'; there are bal01, bal02"),
        ("bal01=7.2,bal01=5.10", "once each"),
        ("bal01=7.2,6.1", "once each"),
        ("newest", "expected a version such as 5.10, 6.1, 6.12, 7.2, or a directory"),
        ("6", "expected a version"),
        ("", "expected a version"),
        ("bal01=", "expected a version"),
    ],
)
def test_what_names_no_image_is_refused_in_one_line(text: str, expected: str) -> None:
    with pytest.raises(UsageProblem, match=expected) as error:
        images.parse(text, DIRECTORS)
    assert "\n" not in str(error.value)


@given(st.text(max_size=30))
def test_any_text_is_an_image_or_refused(text: str) -> None:
    try:
        found = images.parse(text, DIRECTORS)
    except (UsageProblem, ValueError, RuntimeError):  # a NUL, or a home that does not exist
        return
    assert {name for name, _ in found} <= set(DIRECTORS)


def test_a_directory_needs_the_program_and_its_modules(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"no program linux\.uml"):
        images.find(str(tmp_path))
    image = make_image(tmp_path / "built")
    found = images.find(str(image))
    assert found == images.KernelImage(program=image / "linux.uml", modules=image / "modules")
    (image / "modules" / "6.12.9" / "modules.dep").unlink()
    with pytest.raises(UsageProblem, match=r"modules/RELEASE/"):
        images.find(str(image))


def test_a_fetched_image_is_found_in_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(images, "INSTALLED_MODULES", tmp_path / "none")
    assert images.find("6.12") is None
    image = make_image(images.cache() / "6.12")
    found = images.find("6.12")
    assert found is not None
    assert found.program == image / "linux.uml"


@pytest.mark.parametrize(
    ("release", "version", "is_of"),
    [("6.1.176", "6.1", True), ("6.12.113", "6.1", False), ("7.2-rc1", "7.2", True)],
)
def test_a_release_belongs_to_its_version_alone(release: str, version: str, is_of: bool) -> None:
    assert images.is_of_version(release, version) is is_of


def test_a_version_that_debian_does_not_have_is_refused_with_the_ways_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageProblem, match=r"kernel 4\.19: .*5\.10, 6\.1, 6\.12, 7\.2 only; give"):
        fetch.provide("4.19", print)


def test_without_user_mode_linux_one_line_names_the_ways_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "INSTALLED_MODULES", tmp_path)
    with pytest.raises(UsageProblem) as refused:
        fetch.provide(images.INSTALLED, print)
    line = str(refused.value)
    assert "\n" not in line
    for way in (
        "apt install user-mode",
        "--kernel-image 6.1",
        "--kernel-image DIR",
        "--kernel host",
    ):
        assert way in line


def test_without_apt_the_refusal_names_the_way_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv(fetch.MIRROR_VARIABLE, f"file:{tmp_path}")
    monkeypatch.setattr(fetch, "KEYRINGS", (tmp_path,))
    monkeypatch.setattr(fetch, "environment", lambda: {"PATH": str(tmp_path)})
    with pytest.raises(UsageProblem, match=r"no apt-get here; give --kernel-image a directory"):
        fetch.provide("5.10", lambda _line: None)
    assert not list(images.cache().iterdir())  # nothing half-made stays


def test_a_mirror_that_is_no_address_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(fetch, "KEYRINGS", (tmp_path,))
    monkeypatch.setenv(fetch.MIRROR_VARIABLE, "deb x y")
    with pytest.raises(UsageProblem, match="expected the address of a Debian mirror"):
        fetch.provide("5.10", lambda _line: None)


def test_kernel_images_survive_toml_and_make_a_difference() -> None:
    made = with_kernel_image(exercise(), "bal01=5.10,bal02=7.2")
    assert from_toml(to_toml(made)) == made
    assert difference(made, exercise()) == (
        "kernel images bal01=5.10,bal02=7.2 instead of as installed"
    )


def test_a_topology_file_may_name_one_image_for_all() -> None:
    made = from_toml('kernel_image = "7.2"\n')
    assert made.kernel_images == (("bal01", "7.2"), ("bal02", "7.2"))
    with pytest.raises(UsageProblem, match="kernel_image: expected"):
        from_toml("kernel_image = 7\n")


def test_the_machines_own_kernel_takes_no_image() -> None:
    made = replace(exercise(), kernel=Kernel.HOST, kernel_images=(("bal01", "7.2"),))
    with pytest.raises(UsageProblem, match="not with kernel host"):
        check(made)
