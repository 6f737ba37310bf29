"""What the kernel does with a connection: its texts, tables and timers."""
