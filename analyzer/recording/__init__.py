"""The run directory: its tables, its manifest, its clocks, its captures.

The one room of ``analyzer`` that reads and writes files; ``directory/`` is where it does.
"""
