"""What the kernel does with a connection: its texts, tables, timers, and their replay."""
