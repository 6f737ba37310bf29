"""What people write into ``meta.json`` is taken where it is clear, else refused by its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.errors import UsageProblem
from loadgen.importing.sources.meta import almost_known, read_meta

if TYPE_CHECKING:
    from pathlib import Path


def read(folder: Path, text: str) -> Any:
    (folder / "meta.json").write_text(text)
    return read_meta(folder / "meta.json")


TIMEOUTS = {"tcp": 900, "tcpfin": 120, "udp": 300}


@pytest.mark.parametrize(
    ("key", "written", "meant"),
    [
        ("vip", " 192.0.2.80 ", "192.0.2.80"),
        ("vip", "2001:DB8::80", "2001:db8::80"),
        ("port", "80", 80),
        ("port", 80.0, 80),
        ("protocol", "tcp", "TCP"),
        ("forwarding", "Route", "dr"),
        ("forwarding", "DR", "dr"),
        ("forwarding", "Masq", "nat"),
        ("forwarding", "NAT", "nat"),
        ("forwarding", "Tunnel", "tun"),
        ("hz", "250", 250),
        ("timeouts", [900, 120, 300], TIMEOUTS),
        ("timeouts", "900 120 300", TIMEOUTS),
        ("director", {"mac": "02-00-00-00-00-0B"}, {"mac": "02:00:00:00:00:0b"}),
        ("director", {"mac": "0200.0000.000b"}, {"mac": "02:00:00:00:00:0b"}),
        ("director", {"ip": "192.0.2.11"}, {"ip": "192.0.2.11"}),
        ("port", None, None),
        ("anything", [1], [1]),
    ],
)
def test_it_is_read_as_what_it_can_only_mean(
    tmp_path: Path, key: str, written: Any, meant: Any
) -> None:
    assert read(tmp_path, json.dumps({key: written})) == {key: meant}


@pytest.mark.parametrize(
    ("key", "written", "example"),
    [
        ("vip", "lb.example.com", '"192.0.2.80"'),
        ("vip", "192.0.2.80:80", '"192.0.2.80"'),
        ("port", "http", "80"),
        ("port", 70000, "65535"),
        ("port", True, "80"),
        ("protocol", "SCTP", '"UDP"'),
        ("forwarding", "bridge", '"nat"'),
        ("kernel", 6.1, "uname -r"),
        ("hz", float("nan"), "250"),
        ("timeouts", {"tcpfin": 120}, '"tcp": 900'),
        ("timeouts", [900, 120], '"tcp": 900'),
        ("director", "lb1", '"mac"'),
        ("director", {"mac": "xx"}, '"mac"'),
        ("director", {"mac": "0200 0000 00"}, '"mac"'),
        ("clock", 0.1, "offset_s_before"),
        ("sysctl", ["conn_reuse_mode"], "conn_reuse_mode"),
        ("commands", [{"t": "2026-11-28T03:59:40Z", "cmd": "ipvsadm -C"}], '"t": 1795838380.25'),
    ],
)
def test_a_value_that_is_not_clear_is_refused_by_its_key(
    tmp_path: Path, key: str, written: Any, example: str
) -> None:
    with pytest.raises(UsageProblem) as caught:
        read(tmp_path, json.dumps({key: written}))
    told = str(caught.value).removeprefix(f"{tmp_path / 'meta.json'}: ")
    assert told.startswith(f"{key}: expected ")
    assert example in told


@pytest.mark.parametrize(
    ("text", "line"), [("", 1), ("[1]", 1), ('{"port": 80,\n}', 2), ("// vip\n{}", 1)]
)
def test_what_is_no_json_object_is_told_its_line(tmp_path: Path, text: str, line: int) -> None:
    with pytest.raises(UsageProblem, match=rf"line {line}: no JSON.*expected \{{\"vip\"") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_a_key_much_like_a_known_one_is_mentioned() -> None:
    assert almost_known({"vipp": 1, "timeout": 2, "clients": 3, "samples": 4}) == [
        "vip",
        "timeouts",
    ]
    assert almost_known({"vip": 1, "vipp": 1}) == []


@given(st.sampled_from(["vip", "port", "timeouts", "director", "clock", "commands"]), st.data())
def test_any_value_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, data: st.DataObject
) -> None:
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    value = data.draw(st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["mac", "t", "cmd", "tcp", "offset_s_before"]), inner
    ), max_leaves=4))  # fmt: skip
    told = f": {key}: expected "
    try:
        read(tmp_path_factory.mktemp("any"), json.dumps({key: value}))
    except UsageProblem as problem:
        told = str(problem)
    assert f": {key}: expected " in told
