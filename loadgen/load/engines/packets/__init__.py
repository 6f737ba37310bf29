"""The packets engine: TCP played in frames, by thousands of connections at a time in numpy arrays.

No kernel socket takes part. ``script`` says what each connection does on each event, and ``table``
compiles it into one look-up for all; ``event_table`` does the same for which event a segment is.
``connections`` holds their state, ``receiver`` and ``transitions`` change it, ``machine`` drives
them, ``frames`` writes what is sent, ``intake`` reads what is received, ``answers`` parses the
server's responses, ``ports`` hands out addresses and ports, ``egress`` finds interface and next
hop, ``neighbours`` answers for our addresses there, by ``arp`` or ``ndp``, and ``engine`` runs the
loop. Where IPv4 and IPv6 differ, ``versions`` says how.
"""

from loadgen.load.engines.packets.engine import send

__all__ = ["send"]
