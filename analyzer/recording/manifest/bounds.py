"""What the values of ``run.json`` can be at all."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from analyzer.units import LATEST_NS

Seconds = Annotated[float, Meta(ge=0, le=1e9)]
SecondsEitherWay = Annotated[float, Meta(ge=-1e9, le=1e9)]
Instant = Annotated[int, Meta(ge=0, le=LATEST_NS)]
"""Unix time, ns."""
Count = Annotated[int, Meta(ge=0, le=2**40)]
Rate = Annotated[float, Meta(ge=0, le=1e15)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Bytes = Annotated[int, Meta(ge=0, le=2**40)]
MAX_SERVICES = 256
"""That load was sent to: each has figures of its own."""

MAX_TEXT = 2000
"""Characters of a text that are read, here and in tables."""

Sysctl = Annotated[int, Meta(ge=-(2**31), le=2**32)] | str
"""The text of its file below ``/proc/sys``, or a number."""
