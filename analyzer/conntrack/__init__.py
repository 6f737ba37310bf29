"""What netfilter's connection tracking does with a connection: states, timeouts, its replay.

The law of a director that translates addresses by nftables or iptables, beside ``analyzer.ipvs``.
"""
