"""The shell: sends load, polls directors, captures packets, runs the lab, records."""

__version__ = "0.1.0"
