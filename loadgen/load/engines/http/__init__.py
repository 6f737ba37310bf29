"""The http engine: aiohttp's protocol and parser on connections of our own.

``engine`` says when a request is sent and how its connection ends, ``connection`` opens it, sends
the request and reads the answer, ``transport`` is the plain connection under aiohttp's protocol,
and ``redirects`` says where an answer leads.
"""

from loadgen.load.engines.http.engine import send

__all__ = ["send"]
