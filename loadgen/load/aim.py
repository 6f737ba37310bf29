"""What a load is aimed at, as the operator wrote it: URLs as for curl, or ``--vip`` and flags."""

from __future__ import annotations

import re
from dataclasses import dataclass

from loadgen.errors import UsageProblem
from loadgen.target import split_host_port

EXPECTED_URL = "http://HOST[:PORT][/PATH] or https://HOST[:PORT][/PATH]"
HTTP_PORT, HTTPS_PORT = 80, 443
MOST_TARGETS = 64
"""Of one load; a filter for the packets of so many fits the kernel's 4,096 instructions."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
HOST = re.compile(r"[0-9A-Za-z:._%-]{1,253}")
_PATH = re.compile(r"/[!-~]{0,2000}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a load is aimed at.

    Attributes:
        host: a name or an address, without brackets.
        path: with the query.
    """

    host: str
    port: int
    tls: bool = False
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """A URL as it was written; what it leaves out is None."""

    host: str
    port: int | None
    tls: bool
    path: str | None


def parse_url(text: str) -> Url:
    """A URL; without a scheme it is http's, as in curl. A fragment is not sent.

    Raises:
        ValueError: what it should be; the text is not repeated, for it may hold a password.
    """
    scheme = _SCHEME.match(text)
    kind = scheme[1].lower() if scheme else "http"
    if kind not in ("http", "https"):
        raise ValueError(f"expected {EXPECTED_URL}")
    rest = text[scheme.end() if scheme else 0 :].partition("#")[0]
    end = re.search(r"[/?]", rest)
    place, path = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    if "@" in place:
        raise ValueError("no user and password in a URL; expected -H 'Authorization: ...'")
    path = f"/{path}" if path.startswith("?") else path
    try:
        host, port = split_host_port(place)
    except ValueError:
        raise ValueError(f"expected {EXPECTED_URL}") from None
    if not HOST.fullmatch(host) or (path and not _PATH.fullmatch(path)):
        raise ValueError(f"expected {EXPECTED_URL}")
    return Url(host=host, port=port, tls=kind == "https", path=path or None)


def aim_of(
    url: Url | None,
    vip: str | None,
    port: int | None,
    *,
    tls: bool = False,
    path: str | None = None,
    where: str | None = None,
) -> Aim:
    """What URL and flags come to together.

    Args:
        url: the argument, if there is one.
        vip: ``--vip``: a host, or a host and port.
        port: ``--port``.
        tls: ``--tls``.
        path: ``--path``.
        where: file and line of URL or VIP; None of the command line's own.

    Raises:
        UsageProblem: neither URL nor VIP, or what contradicts each other.
    """
    if url is not None:
        place = f"{where}: " if where else ""
        besides = {"--vip": vip, "--port": port, "--path": url.path and path}
        for flag, value in besides.items():
            if value is not None:
                raise UsageProblem(f"{place}a URL and {flag}: expected one of them")
        if tls and not url.tls:
            raise UsageProblem(f"{place}http:// and --tls: expected one of them")
        default = HTTPS_PORT if url.tls else HTTP_PORT
        return Aim(
            host=url.host, port=url.port or default, tls=url.tls, path=url.path or path or "/"
        )
    if vip is None:
        raise UsageProblem(f"expected a URL ({EXPECTED_URL}), --vip HOST[:PORT] or --targets FILE")
    host, vip_port = split_vip(vip)
    if port is not None and vip_port not in (None, port):
        raise UsageProblem(f"{where or f'--vip {vip}'} and --port {port}: expected one port")
    default = HTTPS_PORT if tls else HTTP_PORT
    return Aim(host=host, port=vip_port or port or default, tls=tls, path=path or "/")


def split_vip(vip: str) -> tuple[str, int | None]:
    """Host and port of ``--vip``.

    Raises:
        UsageProblem: it is neither a host nor a host and port.
    """
    try:
        return split_host_port(vip)
    except ValueError:
        raise UsageProblem(f"--vip {vip}: expected HOST, HOST:PORT or [ADDRESS]:PORT") from None
