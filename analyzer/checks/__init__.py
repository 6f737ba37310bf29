"""Expectations of a run, and whether they hold.

``grammar.py`` reads one (``tcpfin=30±1s``), ``quantities.py`` has all that may be expected, with
where each is read from, ``judge.py`` sets one beside the other, ``policy.py`` reads many from a
table.
"""
