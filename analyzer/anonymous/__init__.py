"""Anonymous copies of recordings: other names and addresses, the same figures.

``substitution`` maps addresses and names, ``capture`` applies it to packets, ``tables`` to columns
and ``manifest`` to ``run.json``. One key makes one substitution: the same address has the same
replacement wherever it occurs, and addresses that share a prefix share one afterwards.
"""
