"""The connection table: ``ipvsadm -Lc``, ``/proc/net/ip_vs_conn`` and ``…_conn_sync``; and dpvs."""

from __future__ import annotations

import re
from sys import intern
from typing import TYPE_CHECKING

from analyzer.ipvs.ipvsadm.ends import certain_end, ipvsadm_end, kernel_pair, sure_kernel_pair
from analyzer.ipvs.ipvsadm.model import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from analyzer.ipvs.ipvsadm.model import End

    Warn = Callable[[str], None]

ORIGINS = frozenset({"LOCAL", "SYNC"})

_PROTOCOL = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,9}")
_CLOCK = re.compile(r"([0-9]{1,7}):([0-5][0-9])")
_SECONDS = re.compile(r"[0-9]{1,9}")
_STATE = re.compile(r"[A-Z][A-Z0-9_!-]{0,23}")
_DPVS = re.compile(r"\[[0-9]{1,3}\]([A-Za-z0-9-]{1,8})")
_DPVS_SECONDS = re.compile(r"([0-9]{1,9})s")

_END = "([!-~]+)"
_PLAIN = re.compile(  # ipvsadm -Lc, without a persistence engine
    rf" *({_PROTOCOL.pattern}) +{_CLOCK.pattern} +({_STATE.pattern})" + f" +{_END}" * 3 + " *"
)
_PLAIN_KERNEL = re.compile(
    rf" *({_PROTOCOL.pattern})"
    + " +([0-9A-Fa-f:]{8,39}) +([0-9A-F]{4})" * 3
    + rf" +({_STATE.pattern}) +(?:(LOCAL|SYNC) +)?({_SECONDS.pattern}) *"
)

TITLES = (
    ["pro", "expire", "state", "source", "virtual", "destination"],
    ["Pro", "FromIP", "FPrt", "ToIP", "TPrt", "DestIP", "DPrt", "State"],
    ["IPVS", "connection", "entries"],
)
_TITLES_BEGIN = frozenset(title[0] for title in TITLES)


def is_title(words: list[str]) -> bool:
    """Whether a line stands above a connection table."""
    return words[0] in _TITLES_BEGIN and any(words[: len(title)] == title for title in TITLES)


def plain_connections(lines: list[str]) -> list[Connection]:
    """Read lines in which nothing is in doubt, as almost all are, up to another line."""
    return _plain_of_ipvsadm(lines) or _plain_of_kernel(lines)


def _plain_of_ipvsadm(lines: list[str]) -> list[Connection]:
    entries: list[Connection] = []
    for raw in lines:
        found = _PLAIN.fullmatch(raw)
        if found is None:
            break
        protocol, minutes, seconds, state, client, service, server = found.groups()
        source, virtual = certain_end(client), certain_end(service)
        destination = certain_end(server)
        if not (source and virtual and destination):
            break
        entry = Connection(
            proto=intern(protocol),
            expire_s=60 * int(minutes) + int(seconds),
            state=intern(state),
            source=source,
            virtual=virtual,
            destination=destination,
        )
        entries.append(entry)
    return entries


def _plain_of_kernel(lines: list[str]) -> list[Connection]:
    entries: list[Connection] = []
    for raw in lines:
        found = _PLAIN_KERNEL.fullmatch(raw)
        if found is None:
            break
        protocol, *words, state, origin, expires = found.groups()
        client, client_port, service, service_port, server, server_port = words
        source = sure_kernel_pair(client, client_port)  # seldom twice in a text
        virtual = kernel_pair(service, service_port)
        destination = kernel_pair(server, server_port)
        if not (source and virtual and destination):
            break
        entry = Connection(
            proto=intern(protocol),
            expire_s=int(expires),
            state=intern(state),
            source=source,
            virtual=virtual,
            destination=destination,
            origin=origin,
        )
        entries.append(entry)
    return entries


def read_connection(words: list[str], warn: Warn) -> Connection | None:
    """Read one entry, whoever printed it."""
    if len(words) < 6:
        return None
    if (clock := _CLOCK.fullmatch(words[1])) and _PROTOCOL.fullmatch(words[0]):
        return _from_ipvsadm(words, 60 * int(clock[1]) + int(clock[2]), warn)
    if dpvs := _DPVS.fullmatch(words[0]):
        return _from_dpvs(dpvs[1], words, warn)
    return _from_kernel(words) if len(words) >= 9 else None


def _from_ipvsadm(words: list[str], expire_s: int, warn: Warn) -> Connection | None:
    protocol, _, state, source, virtual, destination, *engine = words
    ends = _all(ipvsadm_end(word, warn) for word in (source, virtual, destination))
    if ends is None or not _STATE.fullmatch(state):
        return None
    client, service, server = ends
    return Connection(
        proto=protocol,
        expire_s=expire_s,
        state=state,
        source=client,
        virtual=service,
        destination=server,
        pe_name=engine[0] if engine else None,
        pe_data=" ".join(engine[1:]) or None,
    )


def _from_kernel(words: list[str]) -> Connection | None:
    """``Pro FromIP FPrt ToIP TPrt DestIP DPrt State [Origin] Expires [PEName PEData]``."""
    ends = _all(kernel_pair(words[at], words[at + 1]) for at in (1, 3, 5))
    origin = words[8] if words[8] in ORIGINS and len(words) > 9 else None
    expires, *engine = words[9 if origin else 8 :]
    if ends is None or not _SECONDS.fullmatch(expires) or not _STATE.fullmatch(words[7]):
        return None
    client, service, server = ends
    return Connection(
        proto=words[0],
        expire_s=int(expires),
        state=words[7],
        source=client,
        virtual=service,
        destination=server,
        pe_name=engine[0] if engine else None,
        pe_data=" ".join(engine[1:]) or None,
        origin=origin,
    )


def _from_dpvs(protocol: str, words: list[str], warn: Warn) -> Connection | None:
    """``[core]tcp 90s TCP_EST client virtual local server``; the local address has no key."""
    seconds = _DPVS_SECONDS.fullmatch(words[1])
    if not seconds or len(words) != 7:
        return None
    ends = _all(ipvsadm_end(words[at], warn) for at in (3, 4, 6))
    if ends is None:
        return None
    client, service, server = ends
    return Connection(
        proto=protocol,
        expire_s=int(seconds[1]),
        state=words[2],
        source=client,
        virtual=service,
        destination=server,
    )


def _all(ends: Iterable[End | None]) -> list[End] | None:
    """The ends, if every one of them was read."""
    read = [end for end in ends if end is not None]
    return read if len(read) == 3 else None
