"""Expectations of a run, and whether they hold.

``grammar.py`` parses one (``tcpfin=30±1s``), ``quantities.py`` has the table of quantities,
``readings.py`` reads them from an analysis, ``judge.py`` compares, ``baseline.py`` takes an earlier
run as the expectation, ``policy.py`` reads expectations from a TOML file.
"""
