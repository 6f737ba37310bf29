"""The hosts' own sockets, counted by TCP state."""
