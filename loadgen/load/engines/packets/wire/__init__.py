"""Frames of the packets engine: headers, neighbours on the link, and the way to the next hop."""
