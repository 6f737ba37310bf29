"""Traces of single connections, packet by packet, and the choice of which to trace."""
