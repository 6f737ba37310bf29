"""A web server on loopback that commands may be pointed at."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site(ThreadingHTTPServer):
    """Answers with a status a number of times, then 503.

    Attributes:
        asked: how many requests have come.
        status: what it answers.
        good: how many times.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.asked = 0
        self.status = 200
        self.good = 10**6
        super().__init__((host, 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Handler(BaseHTTPRequestHandler):
    """Answers every HEAD."""

    def do_HEAD(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        site.asked += 1
        self.send_response(site.status if site.asked <= site.good else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
