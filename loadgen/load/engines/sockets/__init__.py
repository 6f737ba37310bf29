"""The sockets engine: non-blocking sockets on epoll in one tight loop, HTTP/1.1 or datagrams.

``engine`` turns the loop; a connection goes from ``handshake`` by way of ``reading`` to ``ending``,
and ``exchange`` is what is known of a request on it meanwhile. ``following`` sends its further
requests, and ``rest`` has those that a connection ended before.
"""

from loadgen.load.engines.sockets.engine import send

__all__ = ["send"]
