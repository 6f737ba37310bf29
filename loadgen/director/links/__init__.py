"""Ways to a director.

Ssh, a command, this machine; one long-lived shell on each, and the questions that it is asked.
They only read; timeouts alone can be set, which ``timeouts.py`` and its journal answer for.
"""
