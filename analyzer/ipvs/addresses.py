"""Addresses as they are written, and the key of an entry that is made of them."""

from __future__ import annotations

CONNECTION_KEY = ("protocol", "client_ip", "client_port", "vip", "port")
"""The columns that tell one director's entries apart, as the kernel's table does (``ip_vs_conn.c``,
``ip_vs_conn_in_get``)."""

ENTRY_KEY = ("director", *CONNECTION_KEY)
"""The columns that tell apart the entries of all directors."""


def bracketed(address: str) -> str:
    """An address as in a URL: ``10.0.0.2``, ``[fd00::2]``."""
    return f"[{address}]" if ":" in address else address


def host_port(address: str, port: int) -> str:
    """Address and port as in ipvsadm and in a URL: ``10.0.0.2:80``, ``[fd00::2]:80``."""
    return f"{bracketed(address)}:{port}"
