"""What hosts are called in a recording: directors and servers by their names, and the client."""

CLIENT = "client"
"""The host that sends, in ``events/``, ``sockets/`` and the capture's part of ``run.json``."""
