"""`make test-distros`: every release has its turn, and nothing of its root stays."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import distros
import pytest

from loadgen.errors import UsageProblem


@pytest.fixture
def roots(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words each release's script was given; it fails in bookworm alone."""
    given: list[list[str]] = []

    def script(words: list[str]) -> int:
        given.append(words)
        Path(words[0]).mkdir()
        return 2 if words[1] == "bookworm" else 0

    monkeypatch.setattr(distros, "in_namespaces", script)
    monkeypatch.setattr(distros, "debian_mirror", lambda: "http://mirror.example/debian")
    monkeypatch.setattr(distros, "keyring", lambda: Path("/keys.gpg"))
    monkeypatch.setattr(shutil, "which", lambda program: f"/usr/bin/{program}")
    monkeypatch.setattr(signal, "signal", lambda *_arguments: None)
    monkeypatch.setenv("ARGS", "-k 'one or two'")
    monkeypatch.delenv("RELEASES", raising=False)
    monkeypatch.delenv("FILES", raising=False)
    return given


def test_a_release_that_fails_fails_the_whole_and_the_next_still_has_its_turn(
    roots: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert distros.main() == 1

    assert [words[1] for words in roots] == ["bookworm", "trixie"]
    said = capsys.readouterr().out
    assert "bookworm: failed with exit code 2, " in said
    assert "trixie: passed, " in said


def test_a_root_is_made_from_the_machines_mirror_and_removed(
    roots: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELEASES", "trixie")

    assert distros.main() == 0

    ((root, *rest),) = roots
    assert rest[:3] == ["trixie", "http://mirror.example/debian", "/keys.gpg"]
    assert rest[-1] == "-k 'one or two'"
    assert not Path(root).parent.exists()


def test_without_debootstrap_one_line_says_what_to_install(
    roots: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _program: None)

    with pytest.raises(UsageProblem, match="apt install debootstrap"):
        distros.main()
    assert roots == []
