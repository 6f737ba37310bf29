"""The packets engine: TCP played in frames, by thousands of connections at a time in numpy arrays.

No kernel socket takes part. ``script`` says as a table what each connection does when something
happens, ``connections`` holds their state, ``machine`` moves them, ``frames`` writes what goes out,
``answers`` reads what the server says, ``ports`` deals out addresses and ports, ``ground`` finds
the wire, ``neighbours`` answers for our addresses on it, and ``engine`` turns the wheel.
"""

from loadgen.engines.packets.engine import send

__all__ = ["send"]
