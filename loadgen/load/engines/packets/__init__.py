"""The packets engine: TCP played in frames, by thousands of connections at a time in numpy arrays.

No kernel socket takes part. ``script`` says what each connection does when something happens, and
``table`` compiles it into one look for all; ``meaning`` does the same for what a segment means.
``connections`` holds their state, ``machine`` moves them, ``frames`` writes what goes out,
``intake`` takes in what comes, ``answers`` reads what the server says, ``ports`` deals out
addresses and ports, ``ground`` finds the wire, ``neighbours`` answers for our addresses on it, in
``arp`` or in ``ndp``, and ``engine`` turns the wheel. Where IPv4 and IPv6 differ, ``versions``
says how.
"""

from loadgen.load.engines.packets.engine import send

__all__ = ["send"]
