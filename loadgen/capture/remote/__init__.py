"""Packets captured on another host: its tcpdump's stream, read as it comes, on this clock."""
