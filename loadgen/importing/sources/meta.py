"""``meta.json``: what is known of a recording besides its files.

What people write is taken where only one thing can be meant: ``"80"`` for 80, ``tcp``, ``Route``
or ``DR`` for dr, a MAC with hyphens.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from analyzer.recording.manifest import without_surrogates
from loadgen.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

META = "meta.json"
MAX_META_BYTES: Final = 16 << 20

_MOST_PORT = 65535
_FORWARDING = {
    name: method
    for method, names in {
        "dr": "dr g route gatewaying gateway direct",
        "nat": "nat m masq masquerading masquerade",
        "tun": "tun i tunnel tunneling tunnelling ipip",
        "local": "local localnode",
    }.items()
    for name in names.split()
}
_TIMEOUTS = ("tcp", "tcpfin", "udp")
_MUCH_ALIKE = 0.8
_EXAMPLE = '{"vip": "192.0.2.80", "port": 80}'


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: Any) -> float:
    number = float(value) if not isinstance(value, bool) else math.nan
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(value: Any) -> int:
    number = _number(value)
    if number != int(number) or number < 0:
        raise ValueError
    return int(number)


def _port(value: Any) -> int:
    number = _whole(value)
    if number > _MOST_PORT:
        raise ValueError
    return number


def _address(value: Any) -> str:
    return str(ip_address(_text(value).strip()))


def _protocol(value: Any) -> str:
    name = _text(value).strip().upper()
    if name not in ("TCP", "UDP"):
        raise ValueError
    return name


def _forwarding(value: Any) -> str:
    return _FORWARDING[_text(value).strip().lower()]


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _timeouts(value: Any) -> dict[str, float]:
    if isinstance(value, str):
        value = value.split()
    if isinstance(value, list):
        value = dict(zip(_TIMEOUTS, value, strict=True))
    return {name: _number(_object(value)[name]) for name in _TIMEOUTS}


def _director(value: Any) -> dict[str, Any]:
    director = _object(value)
    if director.get("mac") is None:
        return director
    digits = re.sub(r"[:.\-]", "", _text(director["mac"]).strip())
    if not re.fullmatch(r"[\da-fA-F]{12}", digits, re.ASCII):
        raise ValueError
    return director | {"mac": bytes.fromhex(digits).hex(":")}


def _numbers_of(*names: str) -> Callable[[Any], dict[str, Any]]:
    def read(value: Any) -> dict[str, Any]:
        given = _object(value)
        found = {name: _number(given[name]) for name in names if given.get(name) is not None}
        return given | found

    return read


def _commands(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise TypeError
    times = _numbers_of("t", "director_t_start", "director_t_end")
    return [times(command) | {"cmd": _text(_object(command)["cmd"])} for command in value]


@dataclass(frozen=True, slots=True)
class _Key:
    read: Callable[[Any], Any]
    expected: str


_KEYS: Final = {
    "vip": _Key(_address, 'an address, such as "192.0.2.80"'),
    "port": _Key(_port, "a number up to 65535, such as 80"),
    "protocol": _Key(_protocol, '"TCP" or "UDP"'),
    "forwarding": _Key(_forwarding, '"dr", "nat" or "tun"'),
    "kernel": _Key(_text, 'a text, as uname -r prints it, such as "6.1.0-13-amd64"'),
    "hz": _Key(_whole, "a number, such as 250"),
    "timeouts": _Key(_timeouts, '{"tcp": 900, "tcpfin": 120, "udp": 300}'),
    "director": _Key(_director, '{"mac": "02:00:00:00:00:0b"}'),
    "sysctl": _Key(_object, '{"conn_reuse_mode": 1}'),
    "conn_tab_size": _Key(_whole, "a number, such as 4096"),
    "clock": _Key(
        _numbers_of("offset_s_before", "offset_s_after"),
        '{"offset_s_before": 0.1, "offset_s_after": 0.1}',
    ),
    "jiffies": _Key(_numbers_of("t_boot_value"), '{"t_boot_value": 1795838380.25}'),
    "commands": _Key(_commands, '[{"t": 1795838380.25, "cmd": "ipvsadm --set 900 10 300"}]'),
    "scenario": _Key(_text, "a text"),
}


def read_meta(path: Path | None) -> Mapping[str, Any]:
    """What the file contains, its known keys as ``docs/recordings.md`` has them.

    Raises:
        UsageProblem: it is not readable, no JSON object, or a known key has another value.
    """
    if path is None:
        return {}
    try:
        if path.stat().st_size > MAX_META_BYTES:
            raise UsageProblem(f"{path}: expected at most {MAX_META_BYTES >> 20} MiB")
        meta = without_surrogates(json.loads(path.read_bytes()))
    except OSError as error:
        raise UsageProblem(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        why = f"line {error.lineno}: " if isinstance(error, json.JSONDecodeError) else ""
        raise UsageProblem(f"{path}: {why}no JSON; expected {_EXAMPLE}") from error
    if not isinstance(meta, dict):
        raise UsageProblem(f"{path}: line 1: no JSON object; expected {_EXAMPLE}")
    return meta | {name: _read(path, name, meta[name]) for name in _KEYS if name in meta}


def _read(path: Path, name: str, value: Any) -> Any:
    key = _KEYS[name]
    try:
        return None if value is None else key.read(value)
    except (KeyError, OverflowError, TypeError, ValueError):
        raise UsageProblem(f"{path}: {name}: expected {key.expected}") from None


def almost_known(meta: Mapping[str, Any]) -> list[str]:
    """The known keys that others in a file are much like, by which they may have been meant."""
    others = [name for name in meta if name not in _KEYS]
    alike = (get_close_matches(name, _KEYS, 1, _MUCH_ALIKE) for name in others)
    return [names[0] for names in alike if names and names[0] not in meta]
