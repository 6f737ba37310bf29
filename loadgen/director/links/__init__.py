"""Ways to a director.

Ssh, a command, this machine; one long-lived shell on each, and the questions that it is asked.
They only read; timeouts alone can be set, which the room ``timeouts`` and its journal answer for.
"""
