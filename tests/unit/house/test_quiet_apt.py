"""The policy against starts and the undoing of enabling links, on a tree of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import quiet_apt

ALLOWS, DENIES = "#!/bin/sh\nexit 0\n", "#!/bin/sh\nexit 101\n"
DENIES_SSH = '#!/bin/sh\n[ "$1" != ssh ] || exit 101\n'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "usr/sbin").mkdir(parents=True)
    return tmp_path


def put_policy(root: Path, text: str, mode: int = 0o755) -> Path:
    policy = root / quiet_apt.POLICY
    policy.write_text(text)
    policy.chmod(mode)
    return policy


def in_sbin(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "usr/sbin").iterdir())


def test_where_there_is_no_policy_ours_comes_and_goes(root: Path) -> None:
    quiet_apt.deny_starts(root)

    assert os.access(root / quiet_apt.POLICY, os.X_OK)
    assert quiet_apt.denies_starts(root / quiet_apt.POLICY)
    assert quiet_apt.interrupted(root)
    quiet_apt.allow_starts(root)
    assert in_sbin(root) == []
    assert not quiet_apt.interrupted(root)


def test_somebody_elses_policy_that_denies_starts_is_not_touched(root: Path) -> None:
    policy = put_policy(root, DENIES)
    inode = policy.stat().st_ino

    quiet_apt.deny_starts(root)
    assert (policy.read_text(), in_sbin(root)) == (DENIES, ["policy-rc.d"])
    quiet_apt.allow_starts(root)
    assert (policy.read_text(), policy.stat().st_ino) == (DENIES, inode)


@pytest.mark.parametrize(
    ("text", "mode"),
    [(ALLOWS, 0o755), (DENIES_SSH, 0o755), (DENIES, 0o644)],  # nobody asks one without x
)
def test_somebody_elses_policy_that_allows_starts_waits_beside_ours(
    root: Path, text: str, mode: int
) -> None:
    policy = put_policy(root, text, mode)
    before = policy.stat()

    quiet_apt.deny_starts(root)
    assert quiet_apt.is_ours(policy)
    quiet_apt.allow_starts(root)
    assert policy.read_text() == text
    assert (policy.stat().st_ino, policy.stat().st_mode) == (before.st_ino, before.st_mode)
    assert in_sbin(root) == ["policy-rc.d"]


def test_a_policy_that_is_a_link_comes_back_as_a_link(root: Path) -> None:
    (root / quiet_apt.POLICY).symlink_to("/no/such/alternative")

    quiet_apt.deny_starts(root)
    assert quiet_apt.is_ours(root / quiet_apt.POLICY)
    quiet_apt.allow_starts(root)
    assert (root / quiet_apt.POLICY).readlink() == Path("/no/such/alternative")


def killed_with_ours_in_place(root: Path) -> None:
    quiet_apt.deny_starts(root)


def killed_before_ours_is_in_place(root: Path) -> None:
    os.link(root / quiet_apt.POLICY, root / quiet_apt.THEIRS)
    (root / quiet_apt.FRESH).write_text("#!/bin/sh\n")


@pytest.mark.parametrize("killed", [killed_with_ours_in_place, killed_before_ours_is_in_place])
def test_after_a_kill_the_next_call_still_gives_theirs_back(root: Path, killed: object) -> None:
    policy = put_policy(root, ALLOWS)
    assert callable(killed)
    killed(root)
    assert quiet_apt.interrupted(root)

    quiet_apt.deny_starts(root)
    assert quiet_apt.is_ours(policy)
    quiet_apt.allow_starts(root)
    assert policy.read_text() == ALLOWS
    assert in_sbin(root) == ["policy-rc.d"]


ENABLED = {
    "etc/systemd/system/multi-user.target.wants/new.service": "/lib/systemd/system/new.service",
    "etc/systemd/system/timers.target.wants/new.timer": "/lib/systemd/system/new.timer",
    "etc/systemd/system/alias.service": "/lib/systemd/system/new.service",
    "etc/systemd/user/default.target.wants/new.socket": "/usr/lib/systemd/user/new.socket",
    "etc/rc2.d/S01new": "../init.d/new",
    "etc/rcS.d/S01new": "../init.d/new",
    "etc/runlevels/default/new": "/etc/init.d/new",
    "etc/runit/runsvdir/default/new": "/etc/sv/new",
}
NOT_ENABLING = {
    "etc/systemd/system/masked.service": "/dev/null",
    "etc/rc0.d/K01new": "../init.d/new",
}


def link_all(root: Path, links: dict[str, str]) -> None:
    for name, target in links.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(target)


def all_links(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_symlink()}


def test_new_links_are_undone_and_old_ones_stay(root: Path) -> None:
    old = {name.replace("new", "old").replace("alias", "older"): to for name, to in ENABLED.items()}
    link_all(root, old)
    before = quiet_apt.enabling_links(root)
    assert before == set(old)
    link_all(root, {**ENABLED, **NOT_ENABLING})

    assert quiet_apt.disable_new(before, root) == [
        *("alias.service", "new", "new.service", "new.socket", "new.timer"),
    ]
    assert quiet_apt.enabling_links(root) == before
    disabled = {"etc/rc2.d/K01new", "etc/rcS.d/K01new", "etc/runit/runsvdir/default/.new"}
    assert all_links(root) - before == disabled | set(NOT_ENABLING)


def test_a_folder_of_links_that_was_not_there_before_goes_too(root: Path) -> None:
    link_all(root, ENABLED)

    quiet_apt.disable_new(set(), root)

    assert not (root / "etc/systemd/system/multi-user.target.wants").exists()


def test_undoing_twice_is_undoing_once(root: Path) -> None:
    link_all(root, ENABLED)
    quiet_apt.disable_new(set(), root)

    assert quiet_apt.disable_new(set(), root) == []
