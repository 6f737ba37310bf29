"""Addresses and ports, as ``ipvsadm`` and as the kernel print them.

| who | IPv4 | IPv6 |
|---|---|---|
| ``ipvsadm -n`` | ``192.168.10.2:80`` | ``[fd00:10::2]:80`` |
| ``ipvsadm`` | ``vip.example.com:http`` | ``[vip6.example.com]:http`` |
| ``/proc/net/ip_vs`` | ``C0A80A02:0050`` | ``[fd00:0010:…:0002]:0050`` |
| ``/proc/net/ip_vs_conn`` | ``C0A80A02 0050`` | ``fd00:0010:…:0002 0050`` |

In the service table ``ipvsadm`` cuts what is not IPv6 to 28 characters, ``name:port`` together, so
that a ``:http`` that ends there may have been ``:https``. Everywhere it cuts at 59.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from string import hexdigits
from typing import TYPE_CHECKING, Literal

from analyzer.ipvs.ipvsadm.model import End
from analyzer.ipvs.ipvsadm.ports import OTHER_NUMBERS, PORTS, longer_names

if TYPE_CHECKING:
    from collections.abc import Callable

    Warn = Callable[[str], None]

Notation = Literal["kernel", "ipvsadm", "either"]

TABLE_CUT = 28
BUFFER_CUT = 59
MAX_PORT = 65535
_HEX_V4_DIGITS = 8

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_V4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
PLAIN_V4 = rf"({_V4.pattern}):(0|[1-9][0-9]{{0,4}})"
_PLAIN_END = re.compile(PLAIN_V4)  # as ipvsadm prints almost all
_GROUP = "(?:0|[1-9a-f][0-9a-f]{0,3})"
_V6 = re.compile(rf"({_GROUP}(?::{_GROUP})*)::({_GROUP}(?::{_GROUP})*)")
_V6_ZEROS = re.compile(r":0:0|\b0::|::0\b|\b0:0:")
_KERNEL_V4 = re.compile(r"([0-9A-F]{8}):([0-9A-F]{4})")
PLAIN_ENDS = f"{PLAIN_V4}|{_KERNEL_V4.pattern}"
"""Ends of IPv4: address and port as ``ipvsadm -n`` prints them, or both as the kernel does."""

_KERNEL_V6 = re.compile(r"\[((?:[0-9a-f]{4}:){7}[0-9a-f]{4})\]:([0-9A-F]{4})")
_NEVER_IPVSADM = re.compile(r"[\[:]0[0-9a-f]|\]:[0-9A-F]*[A-F]")  # leading zeros, a port of letters
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::(.*))?")
_HOST = re.compile(r"(?=.*[A-Za-z_])[A-Za-z0-9_][A-Za-z0-9_.-]*")
_PORT_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9_.+/*-]*")
_PRINTED_PORT = re.compile(r"0|[1-9][0-9]{0,4}")
_PORT_NUMBER = re.compile(r"[0-9]{1,5}")
_HEX_PORT = re.compile(r"[0-9A-Fa-f]{4}")
_HEX_V4 = re.compile(r"[0-9A-Fa-f]{8}")
_OCTETS = {f"{high}{low}": str(int(high + low, 16)) for high in hexdigits for low in hexdigits}


def notation(word: str) -> Notation | None:
    """Who printed an end, so far as it alone can tell; None if it is a broken one."""
    return "ipvsadm" if _PLAIN_END.fullmatch(word) else _notation(word)


@lru_cache(maxsize=65536)
def _notation(word: str) -> Notation | None:
    if _KERNEL_V4.fullmatch(word):
        return "kernel"
    if _KERNEL_V6.fullmatch(word):
        return "kernel" if _NEVER_IPVSADM.search(word) else "either"
    host, _, port = word.rpartition(":")
    known_port = _PRINTED_PORT.fullmatch(port) or port in PORTS
    known_host = _address(host.strip("[]")) or _HOST.fullmatch(host)
    return "ipvsadm" if known_port and known_host else None


def kernel_end(word: str) -> End | None:
    """Read ``C0A80A02:0050`` or ``[fd00:…:0002]:0050``."""
    found = _KERNEL_V4.fullmatch(word) or _KERNEL_V6.fullmatch(word)
    return kernel_pair(found[1], found[2]) if found else None


@lru_cache(maxsize=65536)
def kernel_pair(address: str, port: str) -> End | None:
    """Read the two words of ``/proc/net/ip_vs_conn``."""
    known = kernel_address(address)
    if known is None or not _HEX_PORT.fullmatch(port):
        return None
    return End(address=known, port=int(port, 16), port_name=None)


def sure_kernel_pair(address: str, port: str) -> End | None:
    """Read the two words where both are known to be hexadecimal, if perhaps with colons."""
    if len(address) == _HEX_V4_DIGITS and ":" not in address:
        return End(address=_dotted(address), port=int(port, 16), port_name=None)
    return kernel_pair(address, port)


def kernel_address(word: str) -> str | None:
    """Eight hexadecimal digits, or IPv6."""
    if _HEX_V4.fullmatch(word):
        return _dotted(word)
    return _address(word) if ":" in word else None


def _dotted(hexadecimal: str) -> str:
    first, second = _OCTETS[hexadecimal[:2]], _OCTETS[hexadecimal[2:4]]
    return f"{first}.{second}.{_OCTETS[hexadecimal[4:6]]}.{_OCTETS[hexadecimal[6:]]}"


def plain_end(
    address: str | None,
    port: str | None,
    hexadecimal: str | None = None,
    hex_port: str | None = None,
) -> tuple[str, int] | None:
    """Address and port of what ``PLAIN_ENDS`` matched, by its groups; None if it matched nothing.

    None too for a port that is too large.
    """
    if address and port:
        number = int(port)
        return (address, number) if number <= MAX_PORT else None
    return (_dotted(hexadecimal), int(hex_port, 16)) if hexadecimal and hex_port else None


def ipvsadm_end(word: str, warn: Warn, *, cut: int = BUFFER_CUT) -> End | None:
    """Read ``192.168.10.2:80``, ``[fd00:10::2]:80`` or names in their places.

    Args:
        word: the end as printed.
        warn: called with what is not certain.
        cut: at how many characters ipvsadm cut what has no brackets.
    """
    return certain_end(word) or _doubtful_end(word, warn, cut)


@lru_cache(maxsize=65536)
def certain_end(word: str) -> End | None:
    """An end of which nothing is in doubt, whatever it is cut at; None of another word."""
    if (plain := _PLAIN_END.fullmatch(word)) and (port := int(plain[2])) <= MAX_PORT:
        return End(address=plain[1], port=port, port_name=None)
    doubts: list[str] = []
    end = _doubtful_end(word, doubts.append, cut=BUFFER_CUT)
    return None if doubts or len(word) == TABLE_CUT else end


def _doubtful_end(word: str, warn: Warn, cut: int) -> End | None:
    if word.startswith("["):
        found = _BRACKETED.fullmatch(word)
        host, port, was_cut = (found[1], found[2], False) if found else (word[1:], None, True)
        was_cut = was_cut or len(word) == BUFFER_CUT
    else:
        host, colon, after = word.partition(":")
        port, was_cut = (after if colon else None), len(word) == cut
    address = _address(host) or _name(host, alone=port is None and not was_cut)
    return _with_port(address, port, warn, was_cut=was_cut) if address else None


def _name(host: str, *, alone: bool) -> str | None:
    """A host's name; one that stands alone must look like one."""
    return host if _HOST.fullmatch(host) and ("." in host or not alone) else None


def _with_port(address: str, port: str | None, warn: Warn, *, was_cut: bool) -> End | None:
    if port is None or (port == "" and was_cut):
        warn(f"{address} is cut" if was_cut else f"{address} has no port")
        return End(address=address, port=None, port_name=None)
    if _PORT_NUMBER.fullmatch(port):
        return _with_number(address, int(port), warn, was_cut=was_cut)
    if _PORT_NAME.fullmatch(port):
        return _with_name(address, port, warn, was_cut=was_cut)
    return None


def _with_number(address: str, port: int, warn: Warn, *, was_cut: bool) -> End | None:
    if port > MAX_PORT:
        return None
    if was_cut and port * 10 <= MAX_PORT:
        warn(f"the port of {address} may be cut: {port}")
        return End(address=address, port=None, port_name=None)
    return End(address=address, port=port, port_name=None)


def _with_name(address: str, name: str, warn: Warn, *, was_cut: bool) -> End:
    if was_cut:
        warn(f"the port of {address} may be cut: {name}")
        if name not in PORTS or longer_names(name):
            return End(address=address, port=None, port_name=None)
    if name not in PORTS:
        warn(f"port {name!r} has no known number")
    elif name in OTHER_NUMBERS:
        warn(f"port {name!r} is taken for {PORTS[name]}; some hosts mean {OTHER_NUMBERS[name]}")
    return End(address=address, port=PORTS.get(name), port_name=name)


def _address(word: str) -> str | None:
    """A numeric address in its usual form."""
    if _V4.fullmatch(word) or _is_usual_v6(word):
        return word
    try:
        return _v6(IPv6Address(word)) if ":" in word else str(IPv4Address(word))
    except ValueError:
        return None


def _is_usual_v6(word: str) -> bool:
    """Whether an address is IPv6 in its usual form; not of each that is."""
    found = _V6.fullmatch(word)
    return bool(found) and word.count(":") <= 6 and not _V6_ZEROS.search(word)


def _v6(address: IPv6Address) -> str:
    mapped = address.ipv4_mapped
    return f"::ffff:{mapped}" if mapped else str(address)  # as inet_ntop has it


def family(address: str | None, *, bracketed: bool) -> str | None:
    """Which family an end has; a name has brackets when it stands for IPv6."""
    if address is None:
        return None
    return "ipv6" if bracketed or ":" in address else "ipv4"
