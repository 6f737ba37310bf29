"""Each thing that is in the way of a lab gets one line, and a machine without any gets none."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import house
import preflight
import pytest

GOOD = preflight.Host(
    machine="x86_64",
    apt=True,
    root="sudo",
    tun="",
    ptrace="",
    memory=(("/dev/shm", ""), ("/tmp", "")),
    networks=(ipaddress.IPv4Network("10.0.0.0/8"), ipaddress.IPv4Network("192.168.11.0/24")),
)
SMALL = ("/dev/shm", "has 64 MB free, 256 are needed")

IN_THE_WAY: list[tuple[dict[str, Any], str]] = [
    ({"machine": "aarch64"}, "this machine is aarch64"),
    ({"apt": False}, "no apt-get"),
    ({"root": "no"}, "not root and there is no sudo"),
    ({"root": "sudo-asks"}, "sudo wants a password"),
    ({"tun": "is missing"}, "/dev/net/tun is missing"),
    ({"ptrace": "kernel.yama.ptrace_scope is 3"}, "ptrace is forbidden"),
    ({"memory": (SMALL, ("/tmp", "has 3 MB free"))}, "no room for the directors' memory"),
    ({"networks": (ipaddress.IPv4Network("192.168.10.7/32"),)}, "192.168.10.7/32"),
    ({"networks": (ipaddress.IPv4Network("192.168.0.0/16"),)}, "192.168.0.0/16"),
]


def test_nothing_is_in_the_way_on_a_good_machine() -> None:
    assert preflight.problems(GOOD, lab=True, install=True) == []


@pytest.mark.parametrize(("change", "words"), IN_THE_WAY)
def test_each_thing_in_the_way_is_one_line(change: dict[str, Any], words: str) -> None:
    (line,) = preflight.problems(replace(GOOD, **change), lab=True, install=True)

    assert words in line
    assert "\n" not in line


def test_all_that_is_in_the_way_is_said_at_once() -> None:
    host = replace(GOOD, machine="aarch64", tun="is missing", root="no")

    assert len(preflight.problems(host, lab=True, install=True)) == 3


def test_checks_without_a_lab_need_no_lab() -> None:
    host = replace(GOOD, machine="aarch64", tun="is missing", root="no", apt=False)

    assert preflight.problems(host, lab=False, install=False) == []


def test_a_small_dev_shm_is_no_problem_while_tmpdir_has_room_but_it_is_said() -> None:
    host = replace(GOOD, memory=(SMALL, ("/tmp", "")))

    assert preflight.problems(host, lab=True, install=True) == []
    (note,) = preflight.notes(host)
    assert "64 MB" in note
    assert "/tmp" in note


@pytest.mark.parametrize(
    ("version", "too_old"), [((3, 9, 2), True), ((3, 10, 14), True), ((3, 11, 0), False)]
)
def test_python_before_3_11_is_too_old(version: tuple[int, ...], too_old: bool) -> None:
    line = house.old_python(version)

    assert (line is not None) == too_old
    assert line is None or "3.11" in line


TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
        /1 universe UNICAST
     |-- 128.0.0.0
        /1 universe UNICAST
     |-- 192.168.10.0
        /24 link UNICAST
        /32 link BROADCAST
     |-- 172.16.0.0
        /12 universe UNREACHABLE
Local:
     |-- 127.0.0.0
        /8 host LOCAL
     |-- 192.168.10.5
        /32 host LOCAL
"""


def test_used_networks_are_addresses_and_routes_but_no_default_route() -> None:
    assert list(map(str, preflight.used_networks(TRIE))) == [
        "192.168.10.0/24",
        "127.0.0.0/8",
        "192.168.10.5/32",
    ]


def test_a_host_without_the_file_uses_no_network() -> None:
    assert preflight.used_networks(preflight.read("/proc/no/such/file")) == []


def test_a_directory_that_is_not_there_has_no_room() -> None:
    assert "No such file" in preflight.memory_trouble("/no/such/directory")


def test_an_ordinary_file_is_no_tun_device(tmp_path: Path) -> None:
    file = tmp_path / "tun"
    file.touch()

    assert "not a device" in preflight.tun_trouble(file, as_root=True)
    assert "missing" in preflight.tun_trouble(tmp_path / "none", as_root=True)
    assert preflight.tun_trouble(Path("/dev/null"), as_root=True) == ""


def test_yama_scope_3_forbids_ptrace_to_all_and_scope_2_to_users_only() -> None:
    assert "ptrace_scope is 3" in preflight.ptrace_trouble("3\n", as_root=True)
    assert preflight.ptrace_trouble("2\n", as_root=False) == ""


def forbid_ptrace() -> None:
    """A seccomp filter of this process: ptrace(2) fails with EPERM, all else is allowed."""
    load_number, equal, answer = 0x20, 0x15, 0x06
    allow, permission_denied = 0x7FFF0000, 0x00050001
    rows = [
        (load_number, 0, 0, 0),
        (equal, 0, 1, 101),  # ptrace on x86-64
        (answer, 0, 0, permission_denied),
        (answer, 0, 0, allow),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in rows))
    header = struct.pack("HxxxxxxP", len(rows), ctypes.addressof(program))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, set_seccomp, filter_mode = 38, 22, 2
    assert libc.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert libc.prctl(set_seccomp, filter_mode, header, 0, 0) == 0


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the filter is for x86-64")
@pytest.mark.parametrize("forbidden", [False, True])
def test_ptrace_is_tried_and_a_filter_that_forbids_it_is_noticed(forbidden: bool) -> None:
    program = "import preflight, sys; sys.exit(0 if preflight.can_ptrace() else 77)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(preflight.__file__).parent)},
        preexec_fn=forbid_ptrace if forbidden else None,
        check=False,
    )

    assert done.returncode == (77 if forbidden else 0)
