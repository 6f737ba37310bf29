"""Ways to a director.

Ssh, a command, this machine; one long-lived shell on each, and the questions that it is asked.
Nothing is changed there.
"""
