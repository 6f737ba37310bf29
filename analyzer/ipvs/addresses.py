"""An address and a port as one word."""

from __future__ import annotations


def host_port(address: str, port: int) -> str:
    """As ipvsadm prints them, and as they stand in a URL: ``10.0.0.2:80``, ``[fd00::2]:80``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
