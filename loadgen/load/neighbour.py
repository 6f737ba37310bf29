"""What the client's neighbour table says of an address: whether anybody answered ARP for it."""

from __future__ import annotations

import asyncio
import contextlib
import json

_LIMIT_S = 5.0


async def neighbour_state(address: str) -> str | None:
    """The state of an address (``FAILED``, ``REACHABLE``, ...) by ``ip neigh``.

    Of the network namespace that we stand in. None where it has no entry: it is not on a link of
    ours, or nothing was sent there; also where ``ip`` cannot tell.
    """
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError, TimeoutError):
        (entry, *_) = json.loads(await _printed("ip", "-json", "neigh", "show", "to", address))
        return str(entry["state"][0])
    return None


async def _printed(*command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        printed, _ = await asyncio.wait_for(process.communicate(), _LIMIT_S)
    except TimeoutError:
        process.kill()
        raise
    return printed
